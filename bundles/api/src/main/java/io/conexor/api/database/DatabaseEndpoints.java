package io.conexor.api.database;

import io.conexor.api.Secret;
import java.util.List;
import org.osgi.annotation.versioning.ProviderType;

/** Where the product's own PostgreSQL is. Constant for the lifetime of the service. */
@ProviderType
public interface DatabaseEndpoints {

  /** At least one; which one is the primary is found out. */
  List<Endpoint> endpoints();

  /** REST APIs of the Patronis that look after them; empty = none, or nobody named them. */
  default List<Endpoint> patroni() {
    return List.of();
  }

  /** Name of the database. */
  String database();

  String user();

  Secret password();

  /** One server, or a proxy in front of some. */
  record Endpoint(String host, int port) {
    @Override
    public String toString() {
      return host + ":" + port;
    }
  }
}
