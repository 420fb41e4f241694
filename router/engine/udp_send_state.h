// The inside of UdpSocket::send(): the messages of one sendmmsg() and what is known of each train. For
// router/engine alone.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>

#include "router/engine/udp_socket.h"

namespace greywire::engine {

struct UdpSocket::SendState {
  static constexpr std::size_t kMaxMessages = 64;  // of one sendmmsg()

  // The next byte to send.
  struct Position {
    std::size_t train = 0;
    std::uint32_t offset = 0;
  };
  // Packet info, traffic class and segment size.
  struct Control {
    alignas(cmsghdr) std::uint8_t bytes[CMSG_SPACE(sizeof(in6_pktinfo)) + 2 * CMSG_SPACE(sizeof(int))];
  };
  // What was given up for a train so far, so that each way out is tried once.
  struct Attempts {
    bool one_by_one = false;
    bool without_source = false;
    bool retried = false;
  };

  std::array<TrainOutcome, kMaxTrains> outcomes;
  std::array<Attempts, kMaxTrains> attempts;
  std::array<Position, kMaxMessages> after;  // the position once message i is taken
  std::array<mmsghdr, kMaxMessages> messages{};
  std::array<iovec, kMaxMessages> parts{};
  std::array<sockaddr_in6, kMaxMessages> destinations{};
  std::array<Control, kMaxMessages> control;
  bool waited = false;

  void begin(std::size_t trains);
  // Builds messages from `from` on; returns how many. Trains of another family than the socket's are given
  // up.
  unsigned fill(const UdpSocket& socket, std::span<const SendTrain> trains, Position from);
  // Notes that the first `count` messages were taken; returns where to go on.
  Position taken(std::span<const SendTrain> trains, Position from, unsigned count);

 private:
  void address(std::size_t i, const SendTrain& train);
  void annotate(std::size_t i, const SendTrain& train, const Attempts& tried, std::uint16_t segment,
                std::uint8_t socket_ds_field);
};

}  // namespace greywire::engine
