package io.conexor.api.redis;

import io.conexor.api.Secret;
import java.net.URI;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.osgi.annotation.versioning.ProviderType;

/**
 * One installation of Redis, as an operator describes it. Constant for the life of the service; a
 * changed configuration is a new service. Whoever connects registers a client per service and gives
 * it the same {@code service.ranking}.
 */
@ProviderType
public interface RedisEndpoints {

  /** How the nodes find each other, and so how they must be spoken to. */
  enum Mode {
    STANDALONE,
    SENTINEL,
    CLUSTER
  }

  /** A user and a password; both empty where none is asked for. */
  record Login(Optional<String> user, Optional<Secret> password) {}

  /**
   * How certificates are judged; addresses that start with {@code rediss://} ask for TLS.
   *
   * @param verifies whether the certificate must be trusted and name the host
   * @param trustStore a PKCS#12 or JKS file; empty = the JVM's
   */
  record Tls(boolean verifies, Optional<Path> trustStore, Optional<Secret> trustStorePassword) {}

  Mode mode();

  /**
   * {@code redis://host:port} or {@code rediss://host:port}, at least one: the server, some
   * sentinels, or some nodes of the cluster.
   */
  List<URI> addresses();

  /** The name the sentinels know the primary by; empty in the other modes. */
  Optional<String> master();

  /** 0 to 15; 0 on a cluster. */
  int database();

  /** For the servers that hold data. */
  Login login();

  /** For the sentinels. */
  Login sentinelLogin();

  Tls tls();
}
