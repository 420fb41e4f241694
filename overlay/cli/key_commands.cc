#include "overlay/cli/key_commands.h"

#include <string>

#include "router/crypto/keys.h"
#include "router/crypto/system_random.h"
#include "router/crypto/wipe.h"
#include "router/crypto/x25519.h"

namespace greywire::cli {
namespace {

ExitCode print_secret(const Surroundings& around, std::string text) {
  if (around.out_readable_by_others) {
    around.err << "greywire: warning: the key goes into a file that others can read; chmod 600 it\n";
  }
  around.out << text << "\n";
  wipe(text.data(), text.size());
  return ExitCode::kDone;
}

}  // namespace

ExitCode genkey_command(const Surroundings& around) {
  SystemRandom random;
  return print_secret(around, generate_private_key(random).reveal_base64());
}

ExitCode genpsk_command(const Surroundings& around) {
  SystemRandom random;
  PresharedKey key;
  random.fill(key.writable_bytes());
  return print_secret(around, key.reveal_base64());
}

ExitCode pubkey_command(const Surroundings& around) {
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
  around.out << derive_public_key(*key).to_base64() << "\n";
  return ExitCode::kDone;
}

}  // namespace greywire::cli
