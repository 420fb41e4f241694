#include "router/engine/tun_steering.h"

#include <fmt/format.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <vector>

#include "router/packet/ip_header.h"

namespace greywire::engine {
namespace {

// Registers. A load from the packet puts its value into kValue, in host order, wants the packet in kPacket and spoils 1 to 5;
// one beyond the packet's end ends the program with 0, the first queue.
constexpr std::uint8_t kValue = 0, kArgument = 1, kPacket = 6, kIpAt = 7, kHash = 8, kScratch = 9;

class Program {
 public:
  struct Label {
    std::size_t at = 0;
    std::vector<std::size_t> jumps;
  };

  void alu(std::uint8_t op, std::uint8_t to, std::int32_t value) { add(BPF_ALU | op | BPF_K, to, 0, 0, value); }
  void alu_register(std::uint8_t op, std::uint8_t to, std::uint8_t from) { add(BPF_ALU | op | BPF_X, to, from, 0, 0); }
  void keep_packet() { add(BPF_ALU64 | BPF_MOV | BPF_X, kPacket, kArgument, 0, 0); }
  void load(std::uint8_t size, std::int32_t at) { add(BPF_LD | BPF_ABS | size, 0, 0, 0, at); }
  void load_behind(std::uint8_t size, std::uint8_t base, std::int32_t at) { add(BPF_LD | BPF_IND | size, 0, base, 0, at); }
  void jump(Label& to) { jump_if(BPF_JA, 0, 0, to); }
  void jump_if(std::uint8_t op, std::uint8_t left, std::int32_t right, Label& to) {
    to.jumps.push_back(code_.size());
    add(BPF_JMP | op | BPF_K, left, 0, 0, right);
  }
  void end() { add(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }
  void end(unsigned queue) {
    alu(BPF_MOV, kValue, static_cast<std::int32_t>(queue));
    end();
  }
  void here(const Label& label) {
    for (const std::size_t jump : label.jumps) code_[jump].off = static_cast<std::int16_t>(code_.size() - jump - 1);
  }
  const std::vector<bpf_insn>& code() const { return code_; }

 private:
  void add(int code, std::uint8_t to, std::uint8_t from, std::int16_t offset, std::int32_t value) {
    bpf_insn instruction{};
    instruction.code = static_cast<std::uint8_t>(code);
    instruction.dst_reg = to & 0xf;
    instruction.src_reg = from & 0xf;
    instruction.off = offset;
    instruction.imm = value;
    code_.push_back(instruction);
  }
  std::vector<bpf_insn> code_;
};

// Ends with kIpAt at the IP header, or at one of the labels.
void find_ip(Program& p, Program::Label& routing, Program::Label& other) {
  constexpr std::int32_t kEthernet = 14, kTag = 4, kLeastEthertype = 0x0600;
  Program::Label ip;
  p.alu(BPF_MOV, kIpAt, kEthernet);
  p.load(BPF_H, kEthernet - 2);
  for (int tags = 0; tags < 2; ++tags) {
    Program::Label tag, none;
    p.jump_if(BPF_JEQ, kValue, 0x8100, tag);
    p.jump_if(BPF_JNE, kValue, 0x88a8, none);
    p.here(tag);
    p.load_behind(BPF_H, kIpAt, 2);
    p.alu(BPF_ADD, kIpAt, kTag);
    p.here(none);
  }
  p.jump_if(BPF_JEQ, kValue, 0x0800, ip);
  p.jump_if(BPF_JEQ, kValue, 0x86dd, ip);
  p.jump_if(BPF_JLT, kValue, kLeastEthertype, routing);
  p.jump(other);
  p.here(ip);
}

// Adds the ports, at kScratch, of what is TCP or UDP by kValue.
void add_ports(Program& p) {
  Program::Label ports, none;
  p.jump_if(BPF_JEQ, kValue, kProtocolTcp, ports);
  p.jump_if(BPF_JNE, kValue, kProtocolUdp, none);
  p.here(ports);
  p.load_behind(BPF_W, kScratch, 0);
  p.alu_register(BPF_XOR, kHash, kValue);
  p.here(none);
}

void hash_v4(Program& p) {
  Program::Label fragment;
  p.load_behind(BPF_W, kIpAt, 12);
  p.alu_register(BPF_MOV, kHash, kValue);
  p.load_behind(BPF_W, kIpAt, 16);
  p.alu_register(BPF_XOR, kHash, kValue);
  p.load_behind(BPF_H, kIpAt, 6);
  p.jump_if(BPF_JSET, kValue, 0x3fff, fragment);
  p.load_behind(BPF_B, kIpAt, 0);
  p.alu(BPF_AND, kValue, 0x0f);
  p.alu(BPF_LSH, kValue, 2);
  p.alu_register(BPF_MOV, kScratch, kIpAt);
  p.alu_register(BPF_ADD, kScratch, kValue);
  p.load_behind(BPF_B, kIpAt, 9);
  add_ports(p);
  p.here(fragment);
}

void hash_v6(Program& p) {
  p.alu(BPF_MOV, kHash, 0);
  for (int at = 8; at < 40; at += 4) {
    p.load_behind(BPF_W, kIpAt, at);
    p.alu_register(BPF_XOR, kHash, kValue);
  }
  p.alu_register(BPF_MOV, kScratch, kIpAt);
  p.alu(BPF_ADD, kScratch, static_cast<std::int32_t>(kIpv6HeaderSize));
  p.load_behind(BPF_B, kIpAt, 6);
  add_ports(p);
}

std::vector<bpf_insn> steering(bool ethernet, unsigned bulk) {
  constexpr auto kGoldenRatio = static_cast<std::int32_t>(0x9e3779b1U);
  Program p;
  Program::Label routing, other, v6, pick;
  p.keep_packet();
  if (ethernet) {
    find_ip(p, routing, other);
  } else {
    p.alu(BPF_MOV, kIpAt, 0);
  }
  p.load_behind(BPF_H, kIpAt, 0);  // version, header length and DS field; in IPv6 version, traffic class, flow label
  p.alu_register(BPF_MOV, kScratch, kValue);
  p.alu(BPF_RSH, kScratch, 12);
  p.jump_if(BPF_JEQ, kScratch, 6, v6);
  p.jump_if(BPF_JNE, kScratch, 4, other);
  p.alu(BPF_AND, kValue, 0xff);
  p.jump_if(BPF_JGE, kValue, kCs6, routing);
  if (bulk > 1) hash_v4(p);
  p.jump(pick);
  p.here(v6);
  p.alu(BPF_RSH, kValue, 4);
  p.alu(BPF_AND, kValue, 0xff);
  p.jump_if(BPF_JGE, kValue, kCs6, routing);
  if (bulk > 1) hash_v6(p);
  p.here(pick);
  if (bulk > 1) {
    p.alu(BPF_MUL, kHash, kGoldenRatio);
    p.alu(BPF_RSH, kHash, 16);
    p.alu(BPF_MOD, kHash, static_cast<std::int32_t>(bulk));
    p.alu_register(BPF_MOV, kValue, kHash);
    p.end();
  }
  p.here(other);
  p.end(0);
  p.here(routing);
  p.end(bulk);
  return p.code();
}

}  // namespace

Result<int> load_steering(bool ethernet, unsigned bulk) {
  const auto code = steering(ethernet, bulk);
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
  attributes.insn_cnt = static_cast<std::uint32_t>(code.size());
  attributes.insns = reinterpret_cast<std::uintptr_t>(code.data());
  attributes.license = reinterpret_cast<std::uintptr_t>("Apache-2.0");
  const long fd = ::syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes);
  if (fd >= 0) return static_cast<int>(fd);
  const int code_of = errno;
  return Error{fmt::format("cannot load a program that picks queues: {}{}", std::strerror(code_of),
                           code_of == EPERM ? "; this needs root or CAP_BPF" : ""),
               code_of};
}

}  // namespace greywire::engine
