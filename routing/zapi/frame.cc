#include "routing/zapi/frame.h"

#include <fmt/format.h>

#include <algorithm>

#include "router/base/byte_order.h"

namespace greywire::routing::zapi {
namespace {

Result<std::size_t> message_length(const std::uint8_t* header) {
  const std::size_t length = load_be16(header);
  if (header[2] != kMarker || header[3] != kVersion) {
    return Error{fmt::format("not ZAPI version 6 (marker {}, version {})", header[2], header[3])};
  }
  if (length < kHeaderBytes)
    return Error{fmt::format("a message of {} bytes is shorter than its header", length)};
  return length;
}

Frame to_frame(std::span<const std::uint8_t> message) {
  return {load_be32(&message[4]), load_be16(&message[8]), message.subspan(kHeaderBytes)};
}

}  // namespace

void FrameReader::reset() {
  input_ = {};
  pending_.clear();
  pending_was_returned_ = false;
}

bool FrameReader::complete_pending(std::size_t bytes) {
  const std::size_t take = std::min(bytes - std::min(bytes, pending_.size()), input_.size());
  pending_.insert(pending_.end(), input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(take));
  input_ = input_.subspan(take);
  return pending_.size() >= bytes;
}

Result<std::optional<Frame>> FrameReader::next() {
  if (pending_was_returned_) {
    pending_.clear();
    pending_was_returned_ = false;
  }
  if (pending_.empty() && input_.size() >= kHeaderBytes) {
    const auto length = message_length(input_.data());
    if (!length) return length.error();
    if (input_.size() >= *length) {
      const auto message = input_.first(*length);
      input_ = input_.subspan(*length);
      return std::optional(to_frame(message));
    }
  }
  if (!complete_pending(kHeaderBytes)) return std::optional<Frame>();
  const auto length = message_length(pending_.data());
  if (!length) return length.error();
  if (!complete_pending(*length)) return std::optional<Frame>();
  pending_was_returned_ = true;
  return std::optional(to_frame(pending_));
}

}  // namespace greywire::routing::zapi
