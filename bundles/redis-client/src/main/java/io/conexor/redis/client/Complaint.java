package io.conexor.redis.client;

import io.conexor.api.redis.RedisEndpoints;
import io.conexor.api.redis.RedisEndpoints.Mode;
import java.util.List;
import java.util.Optional;

/** Says in one sentence why there is no working client, and what to do. */
final class Complaint {

  private static final int OLDEST_MAJOR = 7;

  private Complaint() {}

  /** What is wrong with servers that answered; empty when they will do. */
  static Optional<String> about(Mode mode, List<NodeFacts> nodes) {
    for (NodeFacts node : nodes) {
      if (!node.reachable()) {
        continue;
      }
      String version = node.text("redis_version");
      int dot = version.indexOf('.');
      if (dot > 0 && Integer.parseInt(version.substring(0, dot)) < OLDEST_MAJOR) {
        return Optional.of(
            "server " + node.address() + " is version " + version + "; 7.0 or later is needed");
      }
      boolean cluster = "1".equals(node.text("cluster_enabled"));
      if (cluster != (mode == Mode.CLUSTER)) {
        return Optional.of(
            cluster
                ? "server " + node.address() + " belongs to a cluster; install redis-cluster"
                : "server "
                    + node.address()
                    + " is no cluster node; install redis-sentinel or"
                    + " redis-standalone");
      }
      if (mode == Mode.STANDALONE && !node.isPrimary()) {
        return Optional.of(
            "server " + node.address() + " is a replica; give the primary's address");
      }
    }
    return Optional.empty();
  }

  static String inWords(RedisEndpoints endpoints, Throwable failure) {
    StringBuilder all = new StringBuilder();
    for (Throwable t = failure; t != null && all.length() < 4_000; t = t.getCause()) {
      all.append(t).append('\n');
      for (Throwable s : t.getSuppressed()) {
        all.append(s).append('\n');
      }
    }
    String text = all.toString();
    if (text.contains("WRONGPASS")
        || text.contains("NOAUTH")
        || text.contains("invalid password")) {
      return "the server refuses user and password; check user and password";
    }
    if (text.contains("NOPERM")) {
      return "the ACL user lacks a permission: " + line(text, "NOPERM");
    }
    if (text.contains("cluster support disabled")) {
      return "the addresses are no cluster nodes; install redis-sentinel or redis-standalone";
    }
    if (text.contains("unknown command 'SENTINEL'")
        || text.contains("unknown command `SENTINEL`")) {
      return "the addresses are no sentinels; give the sentinels' addresses";
    }
    if (text.contains("No such master")) {
      return "the sentinels do not know a primary named '" + endpoints.master().orElse("") + "'";
    }
    if (text.contains("RedisOutOfMemoryException")) {
      return "OOM command not allowed: the memory is full (maxmemory)";
    }
    for (String refusal : List.of("OOM ", "READONLY", "NOREPLICAS", "MISCONF", "CLUSTERDOWN")) {
      if (text.contains(refusal)) {
        return line(text, refusal);
      }
    }
    if (text.contains("NotSslRecordException") || text.contains("not an SSL/TLS record")) {
      return "the server does not speak TLS at this port; give redis:// or its TLS port";
    }
    if (text.contains("No subject alternative") || text.contains("No name matching")) {
      return "the certificate is for another host; give the address as it names it (tls.verify)";
    }
    if (text.contains("PKIX path") || text.contains("CertificateException")) {
      return "the server's certificate is not trusted; put it, or its issuer's, into tls.truststore";
    }
    if (text.contains("SSLHandshakeException") || text.contains("SSLException")) {
      return "TLS with the server fails: " + line(text, "SSL");
    }
    boolean isTls = endpoints.addresses().stream().allMatch(a -> "rediss".equals(a.getScheme()));
    if (isTls && text.contains("TimeoutException")) {
      return "the server does not answer in TLS; if this is not its TLS port, give that one";
    }
    boolean isPlain = endpoints.addresses().stream().allMatch(a -> "redis".equals(a.getScheme()));
    if (text.contains("Unable to connect") || text.contains("Connection refused")) {
      return "no server answers at the addresses given"
          + (isPlain ? "; if these are TLS ports, give rediss://" : "");
    }
    return String.valueOf(failure.getMessage()).lines().findFirst().orElse(failure.toString());
  }

  private static String line(String text, String word) {
    String rest = text.substring(text.indexOf(word));
    String first = rest.lines().findFirst().orElse(rest);
    int channel = first.indexOf(". channel");
    return channel > 0 ? first.substring(0, channel) : first;
  }
}
