// An underlay in virtual time: sites at endpoints, links with delay, jitter (which reorders), loss and
// repetition, all from one seed. Time jumps from event to event, so that minutes pass in milliseconds.
#pragma once

#include <functional>
#include <map>
#include <queue>
#include <vector>

#include "tests/sim/site.h"

namespace greywire::test {

struct LinkModel {
  Duration delay = 10ms;
  Duration jitter = 0ms;  // added to the delay, evenly: more than the gap between two packets reorders them
  double loss = 0;
  double repeat = 0;
  bool down = false;
};

class Network {
 public:
  explicit Network(std::uint64_t seed) : random_(seed) {}

  void attach(Site& site, const Endpoint& where) { places_[where] = &site; }
  void detach(const Endpoint& where) { places_.erase(where); }
  LinkModel model;

  TimePoint now() const { return now_; }
  void schedule(TimePoint when, std::function<void()> what) {
    events_.push({when, order_++, std::move(what)});
  }
  // Each datagram that is put on the way, before loss: for taps and counts.
  std::function<void(const Endpoint& from, const SentDatagram& datagram, bool lost)> on_datagram;
  // Called after each event, for invariants.
  std::function<void()> on_step;

  void run_until(TimePoint end) {
    collect();
    for (;;) {
      TimePoint next = events_.empty() ? kNever : events_.top().when;
      for (const auto& [where, site] : places_) next = std::min(next, std::max(site->next_deadline(), now_));
      if (next > end) break;
      now_ = next;
      while (!events_.empty() && events_.top().when <= now_) {
        const auto what = events_.top().what;
        events_.pop();
        what();
        collect();
      }
      for (const auto& site : sites()) {
        if (site->next_deadline() <= now_) site->advance(now_);
        ASSERT_GT(site->next_deadline(), now_) << "a deadline that stays due";
      }
      collect();
      if (on_step) on_step();
    }
    now_ = end;
  }

 private:
  struct Event {
    TimePoint when;
    std::uint64_t order;
    std::function<void()> what;
    bool operator<(const Event& other) const {
      return std::pair(when, order) > std::pair(other.when, other.order);
    }
  };

  std::vector<Site*> sites() const {
    std::vector<Site*> all;
    for (const auto& [where, site] : places_) {
      if (std::find(all.begin(), all.end(), site) == all.end()) all.push_back(site);
    }
    return all;
  }

  // A site sends from the last place it was attached to.
  void collect() {
    std::map<Site*, Endpoint> from;
    for (const auto& [where, site] : places_) from[site] = where;
    for (const auto& [site, where] : from) {
      for (auto& datagram : site->take_sent()) carry(where, std::move(datagram));
    }
  }

  void carry(const Endpoint& from, SentDatagram datagram) {
    const bool lost = model.down || random_.chance(model.loss);
    if (on_datagram) on_datagram(from, datagram, lost);
    if (lost) return;
    const int copies = random_.chance(model.repeat) ? 2 : 1;
    for (int i = 0; i < copies; ++i) {
      const auto extra =
          model.jitter.count() == 0 ? 0 : random_.below(static_cast<std::uint64_t>(model.jitter.count()));
      schedule(now_ + model.delay + Duration{static_cast<std::int64_t>(extra)}, [this, from, datagram] {
        const auto place = places_.find(datagram.to);
        if (place != places_.end()) place->second->receive(datagram.bytes, from, now_, datagram.ds_field);
      });
    }
  }

  SeededRandom random_;
  TimePoint now_ = at(0s);
  std::uint64_t order_ = 0;
  std::map<Endpoint, Site*> places_;
  std::priority_queue<Event> events_;
};

}  // namespace greywire::test
