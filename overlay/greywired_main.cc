// greywired: see overlay/daemon.
#include "overlay/daemon/run.h"

int main(int argc, char** argv) { return greywire::daemon::run(argc, argv); }
