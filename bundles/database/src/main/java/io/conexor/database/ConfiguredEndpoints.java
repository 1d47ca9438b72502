package io.conexor.database;

import io.conexor.api.Secret;
import io.conexor.api.database.DatabaseEndpoints;
import java.util.ArrayList;
import java.util.List;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.ConfigurationPolicy;
import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.AttributeType;
import org.osgi.service.metatype.annotations.Designate;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

/** The servers an operator named. */
@Component(
    service = DatabaseEndpoints.class,
    configurationPid = ConfiguredEndpoints.PID,
    configurationPolicy = ConfigurationPolicy.REQUIRE)
@Designate(ocd = ConfiguredEndpoints.Config.class)
public final class ConfiguredEndpoints implements DatabaseEndpoints {

  static final String PID = "io.conexor.database.endpoints";

  @ObjectClassDefinition(
      name = "Database servers",
      description = "Where the product's PostgreSQL is")
  @interface Config {
    @AttributeDefinition(
        name = "Servers",
        description =
            "host:port of every server or proxy, separated by commas; port 5432 if left out")
    String servers();

    @AttributeDefinition(
        name = "Patroni",
        description =
            "host:port of Patroni's REST API on every node, separated by commas; port 8008 if left"
                + " out; empty = nobody asks Patroni")
    String patroni() default "";

    @AttributeDefinition(name = "Database", description = "Name of the database")
    String database() default "conexor";

    @AttributeDefinition(
        name = "User",
        description = "Owner of the database; not a superuser, who would escape row-level security")
    String user() default "conexor";

    @AttributeDefinition(
        name = "Password",
        description = "Of the user",
        type = AttributeType.PASSWORD)
    String password() default "";
  }

  private final List<Endpoint> endpoints;
  private final List<Endpoint> patroni;
  private final String database;
  private final String user;
  private final Secret password;

  @Activate
  public ConfiguredEndpoints(Config config) {
    this.endpoints = parsed("servers", config.servers(), 5432);
    this.patroni =
        config.patroni().isBlank() ? List.of() : parsed("patroni", config.patroni(), 8008);
    this.database = config.database();
    this.user = config.user();
    this.password = new Secret(config.password());
  }

  static List<Endpoint> parsed(String key, String servers, int otherwise) {
    List<Endpoint> found = new ArrayList<>();
    for (String server : servers.split(",")) {
      String text = server.strip();
      int colon = text.lastIndexOf(':');
      String host = colon < 0 || text.endsWith("]") ? text : text.substring(0, colon);
      try {
        int port =
            host.length() == text.length()
                ? otherwise
                : Integer.parseInt(text.substring(colon + 1));
        if (host.isEmpty() || port < 1 || port > 65_535) {
          throw new NumberFormatException();
        }
        found.add(new Endpoint(host, port));
      } catch (NumberFormatException e) {
        throw new IllegalArgumentException(
            PID + ": " + key + "=" + servers + ": '" + text + "' is not host:port", e);
      }
    }
    return List.copyOf(found);
  }

  @Override
  public List<Endpoint> endpoints() {
    return endpoints;
  }

  @Override
  public List<Endpoint> patroni() {
    return patroni;
  }

  @Override
  public String database() {
    return database;
  }

  @Override
  public String user() {
    return user;
  }

  @Override
  public Secret password() {
    return password;
  }
}
