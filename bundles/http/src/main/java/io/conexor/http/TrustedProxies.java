package io.conexor.http;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.ArrayList;
import java.util.List;

/** Who may say on whose behalf it asks: addresses and CIDR blocks. */
final class TrustedProxies {

  private record Block(byte[] address, int bits) {
    boolean contains(byte[] other) {
      if (other.length != address.length) {
        return false;
      }
      for (int bit = 0; bit < bits; bit += 8) {
        int mask = bits - bit >= 8 ? 0xFF : 0xFF << (8 - (bits - bit)) & 0xFF;
        if (((address[bit / 8] ^ other[bit / 8]) & mask) != 0) {
          return false;
        }
      }
      return true;
    }
  }

  private final List<Block> blocks = new ArrayList<>();

  /**
   * @throws IllegalArgumentException when an entry is neither an address nor a CIDR block
   */
  TrustedProxies(String[] entries) {
    for (String entry : entries) {
      String text = entry.strip();
      if (text.isEmpty()) {
        continue;
      }
      int slash = text.indexOf('/');
      byte[] address = literal(slash < 0 ? text : text.substring(0, slash));
      if (address.length == 0) {
        throw new IllegalArgumentException("'" + text + "' is not an address or a CIDR block");
      }
      int bits = slash < 0 ? address.length * 8 : Integer.parseInt(text.substring(slash + 1));
      if (bits < 0 || bits > address.length * 8) {
        throw new IllegalArgumentException("'" + text + "' has a prefix length out of range");
      }
      blocks.add(new Block(address, bits));
    }
  }

  boolean isEmpty() {
    return blocks.isEmpty();
  }

  boolean trusts(String address) {
    byte[] bytes = literal(address);
    return bytes.length > 0 && blocks.stream().anyMatch(block -> block.contains(bytes));
  }

  /** The last address in the chain that is not one of ours; the peer when there is none. */
  String client(String peer, List<String> forwardedFor) {
    String client = peer;
    List<String> hops = new ArrayList<>();
    for (String line : forwardedFor) {
      for (String hop : line.split(",")) {
        hops.add(hop.strip());
      }
    }
    for (int i = hops.size() - 1; i >= 0 && trusts(client); i--) {
      if (literal(hops.get(i)).length == 0) {
        break;
      }
      client = hops.get(i);
    }
    return client;
  }

  /** Empty for anything but a literal: a name must never be looked up here. */
  private static byte[] literal(String text) {
    if (text.isEmpty() || !text.matches("[0-9.]{7,15}|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*")) {
      return new byte[0];
    }
    try {
      return InetAddress.getByName(text).getAddress();
    } catch (UnknownHostException e) {
      return new byte[0];
    }
  }
}
