#include "overlay/cli/key_commands.h"

#include <string>
#include <string_view>

#include "router/crypto/keys.h"
#include "router/crypto/system_random.h"
#include "router/crypto/wipe.h"
#include "router/crypto/x25519.h"

namespace greywire::cli {
namespace {

// Base64 needs no escaping in JSON.
void print_key(const Surroundings& around, const Options& options, std::string_view kind, std::string_view text) {
  if (options.json) {
    around.out << "{\"" << kind << "\":\"" << text << "\"}\n";
  } else {
    around.out << text << "\n";
  }
}

ExitCode print_secret(const Surroundings& around, const Options& options, std::string_view kind, std::string text) {
  if (around.out_readable_by_others) {
    around.err << "greywire: warning: the key goes into a file that others can read; chmod 600 it\n";
  }
  print_key(around, options, kind, text);
  wipe(text.data(), text.size());
  return ExitCode::kDone;
}

}  // namespace

ExitCode genkey_command(const Surroundings& around, const Options& options) {
  SystemRandom random;
  return print_secret(around, options, "private_key", generate_private_key(random).reveal_base64());
}

ExitCode genpsk_command(const Surroundings& around, const Options& options) {
  SystemRandom random;
  PresharedKey key;
  random.fill(key.writable_bytes());
  return print_secret(around, options, "preshared_key", key.reveal_base64());
}

ExitCode pubkey_command(const Surroundings& around, const Options& options) {
  std::string text;
  std::getline(around.in, text);
  while (!text.empty() && (text.back() == '\r' || text.back() == ' ')) text.pop_back();
  const auto key = PrivateKey::from_base64(text);
  wipe(text.data(), text.size());
  if (!key) {
    around.err
        << "greywire: standard input holds no private key: expected one line of 44 characters of base64\n";
    return ExitCode::kUsage;
  }
  print_key(around, options, "public_key", derive_public_key(*key).to_base64());
  return ExitCode::kDone;
}

}  // namespace greywire::cli
