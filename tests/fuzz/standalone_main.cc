// Runs a fuzz target without libFuzzer: over its seed corpus, if there is one in tests/fuzz/corpus/<target>/,
// and over a bounded number of pseudo-random and mutated inputs. The seed is printed; a failing run repeats
// with it:
//
//   ip_gso_fuzz [--seed N] [--runs N] [--seconds N] [FILE...]
//
// With files named, it runs those and nothing else.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size);

namespace {

using Bytes = std::vector<std::uint8_t>;
constexpr std::size_t kMaxInput = 2048;
constexpr std::uint8_t kInteresting[] = {0, 1, 4, 6, 8, 0x10, 0x20, 0x40, 0x45, 0x60, 0x7f, 0x80, 0xff};

Bytes read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::vector<Bytes> read_corpus(const std::string& target) {
  std::vector<Bytes> corpus;
#ifdef GREYWIRE_TESTS_DIR
  const std::filesystem::path folder = std::filesystem::path(GREYWIRE_TESTS_DIR) / "fuzz" / "corpus" / target;
  std::error_code none;
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder, none)) {
    if (entry.is_regular_file()) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());  // the folder's order is not the same everywhere
  for (const auto& path : paths) corpus.push_back(read_file(path));
#else
  (void)target;
#endif
  return corpus;
}

class Inputs {
 public:
  Inputs(std::uint64_t seed, std::vector<Bytes> pool) : random_(seed), pool_(std::move(pool)) {}

  Bytes next() {
    if (pool_.empty() || below(4) == 0) return remember(fresh());
    Bytes input = pool_[below(pool_.size())];
    for (std::size_t i = 1 + below(8); i-- > 0;) mutate(input);
    return remember(std::move(input));
  }

 private:
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_() % n); }
  std::uint8_t byte() {
    return below(3) == 0 ? kInteresting[below(std::size(kInteresting))]
                         : static_cast<std::uint8_t>(random_());
  }

  Bytes fresh() {
    Bytes input(below(below(8) == 0 ? kMaxInput : 160));
    for (auto& b : input) b = byte();
    return input;
  }

  void mutate(Bytes& input) {
    if (input.empty()) {
      input.push_back(byte());
      return;
    }
    const std::size_t at = below(input.size());
    const auto place = input.begin() + static_cast<std::ptrdiff_t>(at);
    switch (below(6)) {
      case 0:
        input[at] = byte();
        break;
      case 1:
        input[at] ^= static_cast<std::uint8_t>(1U << below(8));
        break;
      case 2:
        input[at] = static_cast<std::uint8_t>(input[at] + (below(2) == 0 ? 1 : 255));
        break;
      case 3:
        input.insert(place, byte());
        break;
      case 4:
        input.erase(place, place + static_cast<std::ptrdiff_t>(
                                       1 + below(std::min<std::size_t>(8, input.size() - at))));
        break;
      case 5: {
        const std::size_t from = below(input.size());
        const std::size_t n = below(std::min(input.size() - std::max(at, from), std::size_t{64}) + 1);
        const Bytes slice(input.begin() + static_cast<std::ptrdiff_t>(from),
                          input.begin() + static_cast<std::ptrdiff_t>(from + n));
        std::copy(slice.begin(), slice.end(), input.begin() + static_cast<std::ptrdiff_t>(at));
        break;
      }
    }
    if (input.size() > kMaxInput) input.resize(kMaxInput);
  }

  Bytes remember(Bytes input) {
    if (pool_.size() < 512) {
      pool_.push_back(input);
    } else if (below(64) == 0) {
      pool_[below(pool_.size())] = input;
    }
    return input;
  }

  std::mt19937_64 random_;
  std::vector<Bytes> pool_;
};

void run(const Bytes& input) {
  // A block of exactly this size, so that AddressSanitizer sees every byte read past it.
  const Bytes exact(input.begin(), input.end());
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

struct Options {
  std::uint64_t seed = std::random_device{}();
  std::uint64_t runs = 20000;
  double seconds = 2;
  std::vector<std::string> files;
};

Options parse_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (i + 1 < argc && name == "--seed") {
      options.seed = std::strtoull(argv[++i], nullptr, 10);
    } else if (i + 1 < argc && name == "--runs") {
      options.runs = std::strtoull(argv[++i], nullptr, 10);
    } else if (i + 1 < argc && name == "--seconds") {
      options.seconds = std::strtod(argv[++i], nullptr);
    } else {
      options.files.push_back(name);
    }
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse_options(argc, argv);
  for (const auto& file : options.files) run(read_file(file));
  if (!options.files.empty()) return 0;

  const std::string target = std::filesystem::path(argv[0]).filename().string();
  std::vector<Bytes> corpus = read_corpus(target);
  std::printf("%s: seed %llu, %zu seed files\n", target.c_str(),
              static_cast<unsigned long long>(options.seed), corpus.size());
  std::fflush(stdout);  // before anything can abort
  for (const auto& input : corpus) run(input);
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(options.seconds);
  Inputs inputs(options.seed, std::move(corpus));
  std::uint64_t done = 0;
  for (; done < options.runs && std::chrono::steady_clock::now() < end; ++done) run(inputs.next());
  std::printf("%s: %llu inputs\n", target.c_str(), static_cast<unsigned long long>(done));
  return 0;
}
