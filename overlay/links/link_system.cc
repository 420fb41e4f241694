#include "overlay/links/link_system.h"

namespace greywire::links {

Result<ReconcileOutcome> reconcile(LinkSystem& system, const DesiredLinks& desired) {
  constexpr int kLooks = 3;
  ReconcileOutcome outcome;
  for (int look = 0; look < kLooks; ++look) {
    const auto actual = system.read(scope_of(desired));
    if (!actual) return actual.error();
    auto todo = plan(desired, *actual);
    outcome.problems = std::move(todo.problems);
    std::size_t done = 0;
    for (auto& operation : todo.operations) {
      const auto result = system.apply(operation);
      if (!result) {
        outcome.problems.push_back(result.error());
        continue;
      }
      ++done;
      outcome.applied.push_back(std::move(operation));
    }
    if (done == 0) break;
  }
  return outcome;
}

}  // namespace greywire::links
