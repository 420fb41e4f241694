// The greatest time stamp that an initiation of ours may have carried, kept over restarts in FOLDER/timestamp as a
// TAI64N label (`tai64nlocal` reads it). With it a daemon that comes back with the clock set back is not refused by
// its peers. Control thread: a write takes as long as the disk needs.
#pragma once

#include <optional>
#include <string>

#include "router/base/result.h"
#include "router/wireguard/timestamp.h"

namespace greywire::daemon {

inline constexpr char kStateFolder[] = "/var/lib/greywire";

class TimestampFile {
 public:
  explicit TimestampFile(std::string folder) : folder_(std::move(folder)) {}

  // Nothing where there is no file. An Error: it cannot be read, or holds no label.
  Result<std::optional<wireguard::Timestamp>> read() const;
  // Makes the folder where it is missing (0700). The file is replaced as a whole and on the disk when this returns.
  Result<void> write(const wireguard::Timestamp& stamp) const;

  std::string path() const { return folder_ + "/timestamp"; }

 private:
  const std::string folder_;
};

}  // namespace greywire::daemon
