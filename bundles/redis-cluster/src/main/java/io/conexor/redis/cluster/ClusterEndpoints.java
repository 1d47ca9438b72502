package io.conexor.redis.cluster;

import io.conexor.api.Secret;
import io.conexor.api.redis.RedisEndpoints;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.ConfigurationPolicy;
import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.AttributeType;
import org.osgi.service.metatype.annotations.Designate;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

/** Redis Cluster, from configuration. */
@Component(
    service = RedisEndpoints.class,
    configurationPid = ClusterEndpoints.PID,
    configurationPolicy = ConfigurationPolicy.REQUIRE)
@Designate(ocd = ClusterEndpoints.Config.class)
public final class ClusterEndpoints implements RedisEndpoints {

  static final String PID = "io.conexor.redis.cluster";

  @ObjectClassDefinition(name = "Redis Cluster", description = "Where Redis is")
  @interface Config {
    @AttributeDefinition(
        name = "Addresses",
        description = "Some nodes as [redis[s]://]host:port; the rest is discovered")
    String[] addresses() default {};

    @AttributeDefinition(name = "User", description = "ACL user of the servers; empty = default")
    String user() default "";

    @AttributeDefinition(
        name = "Password",
        description = "Password of the servers; empty = none",
        type = AttributeType.PASSWORD)
    String password() default "";

    @AttributeDefinition(
        name = "Verify certificates",
        description = "Whether a TLS certificate must be trusted and name the host")
    boolean tls_verify() default true;

    @AttributeDefinition(
        name = "Trust store",
        description = "File with the trusted certificates (PKCS#12 or JKS); empty = the JVM's")
    String tls_truststore() default "";

    @AttributeDefinition(
        name = "Trust store's password",
        description = "Empty = none",
        type = AttributeType.PASSWORD)
    String tls_truststore_password() default "";
  }

  private final List<URI> addresses;
  private final Login login;
  private final Tls tls;

  @Activate
  public ClusterEndpoints(Config config) {
    addresses = addresses(config.addresses());
    login = new Login(text(config.user()), secret(config.password()));
    tls =
        new Tls(
            config.tls_verify(),
            text(config.tls_truststore()).map(Path::of),
            secret(config.tls_truststore_password()));
  }

  @Override
  public Mode mode() {
    return Mode.CLUSTER;
  }

  @Override
  public List<URI> addresses() {
    return addresses;
  }

  @Override
  public Optional<String> master() {
    return Optional.empty();
  }

  @Override
  public int database() {
    return 0;
  }

  @Override
  public Login login() {
    return login;
  }

  @Override
  public Login sentinelLogin() {
    return new Login(Optional.empty(), Optional.empty());
  }

  @Override
  public Tls tls() {
    return tls;
  }

  private static List<URI> addresses(String[] given) {
    List<URI> parsed = new ArrayList<>();
    for (String each : given) {
      String text = each.strip();
      try {
        URI uri = new URI(text.contains("://") ? text : "redis://" + text);
        boolean scheme = "redis".equals(uri.getScheme()) || "rediss".equals(uri.getScheme());
        if (!scheme || uri.getHost() == null || uri.getPort() < 1 || uri.getUserInfo() != null) {
          throw wrong("addresses has '" + text + "', which is not [redis[s]://]host:port");
        }
        parsed.add(uri);
      } catch (URISyntaxException e) {
        throw wrong("addresses has '" + text + "', which is not [redis[s]://]host:port");
      }
    }
    if (parsed.isEmpty()) {
      throw wrong("addresses needs at least one host:port");
    }
    return List.copyOf(parsed);
  }

  private static Optional<String> text(String value) {
    return Optional.of(value.strip()).filter(v -> !v.isEmpty());
  }

  private static Optional<Secret> secret(String value) {
    return Optional.of(value).filter(v -> !v.isEmpty()).map(Secret::new);
  }

  private static IllegalArgumentException wrong(String what) {
    return new IllegalArgumentException(PID + ": " + what);
  }
}
