// Tables of which a copy costs little: they are kept in parts, copies share the parts, and a change copies the one part
// that it touches. So a snapshot with 10,000 peers is published in microseconds a change.
//
// One owner thread makes, copies, changes and destroys them (it frees old snapshots too: see QuiescentDomain); any
// thread may read a snapshot that was published to it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

namespace greywire {

// Values by a dense number. Those that were never set are `Value{}`.
template <class Value>
class SharedVector {
 public:
  std::size_t size() const { return size_; }
  void resize(std::size_t size) {
    size_ = size;
    parts_.resize((size + kPart - 1) / kPart);
  }
  // Null past the end and for what was never set.
  const Value* find(std::size_t i) const {
    if (i >= size_ || parts_[i / kPart] == nullptr) return nullptr;
    return &(*parts_[i / kPart])[i % kPart];
  }
  Value& operator[](std::size_t i) {
    if (i >= size_) resize(i + 1);
    auto& part = parts_[i / kPart];
    if (part == nullptr) {
      part = std::make_shared<Part>();
    } else if (part.use_count() > 1) {
      part = std::make_shared<Part>(*part);
    }
    return (*part)[i % kPart];
  }

 private:
  static constexpr std::size_t kPart = 64;
  using Part = std::array<Value, kPart>;
  std::size_t size_ = 0;
  std::vector<std::shared_ptr<Part>> parts_;
};

template <class Key, class Value>
class SharedMap {
 public:
  // Null where there is none.
  const Value* find(const Key& key) const {
    const auto& part = parts_[part_of(key)];
    if (part == nullptr) return nullptr;
    const auto it = part->find(key);
    return it == part->end() ? nullptr : &it->second;
  }
  Value& operator[](const Key& key) { return own(part_of(key))[key]; }
  void erase(const Key& key) {
    if (find(key) != nullptr) own(part_of(key)).erase(key);
  }

 private:
  static constexpr std::size_t kParts = 128;
  using Part = std::unordered_map<Key, Value>;
  static std::size_t part_of(const Key& key) {
    // The high bits, since each part's own buckets go by the low ones.
    return static_cast<std::size_t>(static_cast<std::uint64_t>(std::hash<Key>{}(key)) * 0x9e3779b97f4a7c15ULL >> 57);
  }
  Part& own(std::size_t i) {
    auto& part = parts_[i];
    if (part == nullptr) {
      part = std::make_shared<Part>();
    } else if (part.use_count() > 1) {
      part = std::make_shared<Part>(*part);
    }
    return *part;
  }
  std::array<std::shared_ptr<Part>, kParts> parts_;
};

}  // namespace greywire
