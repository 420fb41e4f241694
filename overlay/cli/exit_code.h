// What `greywire` exits with; its --help lists the same.
#pragma once

namespace greywire::cli {

enum class ExitCode : int {
  kDone = 0,
  kAnswerIsNo = 1,  // check found errors; explain: the packet is not delivered; diff: there is one; ping: no answer
  kUsage = 2,       // wrong command line or wrong input
  kNoDaemon = 3,    // no daemon answers, or it is not clear which one is meant
  kNoPermission = 4,
  kDaemonFailed = 5,  // the daemon answered with an error, not at all, or something unknown
  kCannotWrite = 6,   // standard output or a file
};

}  // namespace greywire::cli
