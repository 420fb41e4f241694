// Writes files that are there whole, the old one or the new, whatever happens meanwhile: a full disk, a crash, a loss of power.
//
// Blocking file access, no other state, any thread. Errors are one line and name the file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "router/base/result.h"

namespace greywire::files {

// A person's file: it keeps its rights and owner, and is 0644 where there was none. Several may write it at a time; the last one
// counts. On the disk when this returns.
Result<void> replace_file(const std::string& path, std::string_view text);

// kNow: it survives a loss of power once this returns. kInTime: the system writes it when it likes.
enum class OnDisk : std::uint8_t { kNow, kInTime };

// A daemon's own file, which nobody else reads (0600), in a folder that is made where it is missing (0700). It has one writer:
// what one that was killed left beside it, in PATH.new, goes with the next write.
Result<void> replace_state(const std::string& path, std::string_view text, OnDisk when);

// It is gone when this returns, and stays so after a loss of power. One that is not there is no error.
Result<void> remove_state(const std::string& path);

}  // namespace greywire::files
