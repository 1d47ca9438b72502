package io.conexor.itests.lab;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import org.opentest4j.TestAbortedException;

/**
 * A net of this machine alone: a bridge, and per host a network namespace with one address on it. A
 * host that is cut off keeps its sockets and hears nothing, as behind a broken switch.
 */
public final class LabNetwork implements AutoCloseable {

  private final String name;
  private final int subnet;
  private final Map<String, String> links = new LinkedHashMap<>();
  private final List<String> namespaces = new ArrayList<>();

  private LabNetwork(int subnet) {
    this.subnet = subnet;
    this.name = "cx" + subnet;
  }

  /**
   * Makes the bridge.
   *
   * @throws TestAbortedException where network namespaces are not allowed
   */
  public static LabNetwork open() {
    Binaries.require("ip");
    LabNetwork network = new LabNetwork(ThreadLocalRandom.current().nextInt(1, 250));
    if (!network.ip("link", "add", network.name, "type", "bridge")) {
      throw new TestAbortedException("network namespaces need root here");
    }
    network.must("addr", "add", "10.77." + network.subnet + ".254/24", "dev", network.name);
    network.must("link", "set", network.name, "up");
    return network;
  }

  /** A new host; returns its address. */
  public String addHost() {
    int number = links.size() + 1;
    String address = "10.77." + subnet + "." + number;
    String namespace = name + "n" + number;
    String link = name + "v" + number;
    must("netns", "add", namespace);
    namespaces.add(namespace);
    must("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", namespace);
    must("link", "set", link, "master", name, "up");
    must("-n", namespace, "link", "set", "lo", "up");
    must("-n", namespace, "addr", "add", address + "/24", "dev", "eth0");
    must("-n", namespace, "link", "set", "eth0", "up");
    links.put(address, link);
    return address;
  }

  /** What to put before a command so that it runs on that host. */
  public List<String> prefix(String address) {
    String namespace = namespaces.get(new ArrayList<>(links.keySet()).indexOf(address));
    return List.of(Binaries.require("ip").toString(), "netns", "exec", namespace);
  }

  /** Takes a host off the net, or puts it back. */
  public void cut(String address, boolean off) {
    String link = links.get(address);
    if (link == null) {
      throw new IllegalArgumentException("no host " + address);
    }
    if (off) {
      must("link", "set", link, "nomaster");
    } else {
      must("link", "set", link, "master", name);
    }
  }

  @Override
  public void close() {
    namespaces.forEach(each -> ip("netns", "del", each));
    ip("link", "del", name);
  }

  private void must(String... arguments) {
    if (!ip(arguments)) {
      throw new IllegalStateException("ip " + String.join(" ", arguments) + " failed");
    }
  }

  private boolean ip(String... arguments) {
    List<String> command = new ArrayList<>(List.of(Binaries.require("ip").toString()));
    command.addAll(List.of(arguments));
    try {
      Process process =
          new ProcessBuilder(command)
              .redirectErrorStream(true)
              .redirectOutput(ProcessBuilder.Redirect.DISCARD)
              .start();
      return process.waitFor(10, TimeUnit.SECONDS) && process.exitValue() == 0;
    } catch (IOException e) {
      return false;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }
}
