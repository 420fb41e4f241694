#include "router/gre/keepalive.h"

#include "router/gre/header.h"
#include "router/packet/ip_header.h"

namespace greywire::gre {

std::span<std::uint8_t> keepalive_answer(const TunnelConfig& tunnel, std::span<std::uint8_t> payload) {
  if (tunnel.ethernet || payload.size() > kLargestKeepalive) return {};
  IpPacketInfo ip;
  if (!parse_ip(payload, ip) || ip.protocol != kProtocolGre || ip.is_fragment) return {};
  const auto answer = payload.first(ip.total_size);
  if (source(answer, ip) != tunnel.local || destination(answer, ip) != tunnel.remote) return {};
  Header header;
  if (decode(answer.subspan(ip.header_size), header) || header.protocol != 0) return {};
  return answer;
}

}  // namespace greywire::gre
