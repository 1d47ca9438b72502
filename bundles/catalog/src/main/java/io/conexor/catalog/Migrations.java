package io.conexor.catalog;

import static java.util.concurrent.TimeUnit.MILLISECONDS;

import io.conexor.api.database.DatabaseEndpoints;
import io.conexor.api.database.Schema;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import javax.sql.DataSource;
import org.flywaydb.core.Flyway;
import org.flywaydb.core.api.MigrationInfo;
import org.jspecify.annotations.Nullable;
import org.osgi.framework.BundleContext;
import org.osgi.framework.ServiceRegistration;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Deactivate;
import org.osgi.service.component.annotations.Reference;
import org.postgresql.ds.PGSimpleDataSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Brings the tables up to this version and then registers {@link Schema}.
 *
 * <p>It registers by hand, the one thing Declarative Services can't express: a service that comes
 * when work in the background is done. Several backends may start at once: Flyway holds a lock in
 * the database. While PostgreSQL is away it keeps trying.
 */
@Component(
    service = {},
    immediate = true) // brings the service that others wait for
public final class Migrations {

  private static final Logger log = LoggerFactory.getLogger(Migrations.class);

  static final String PLACE = "classpath:io/conexor/catalog/migrations";

  private final BundleContext context;
  private final DatabaseEndpoints endpoints;
  private final CountDownLatch closing = new CountDownLatch(1);
  private final Thread worker = new Thread(this::work, "conexor-catalog-migrations");
  private volatile @Nullable ServiceRegistration<Schema> registration; // by the worker

  @Activate
  public Migrations(
      BundleContext context, @Reference(name = "endpoints") DatabaseEndpoints endpoints) {
    this.context = context;
    this.endpoints = endpoints;
    worker.setDaemon(true);
    worker.start();
  }

  @Deactivate
  void close() {
    closing.countDown();
    try {
      worker.join(5_000);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    ServiceRegistration<Schema> registered = registration;
    if (registered != null) {
      registered.unregister();
    }
  }

  private void work() {
    int failures = 0;
    while (closing.getCount() > 0) {
      try {
        String version = migrate(primary(endpoints));
        log.info("tables are at version {}", version);
        Schema schema = () -> version;
        registration = context.registerService(Schema.class, schema, null);
        return;
      } catch (Throwable e) {
        // INVARIANT: goes on until it worked or the bundle stops
        failures++;
        if (Integer.bitCount(failures) == 1) {
          log.warn("tables can't be brought up to date yet; trying again: {}", e.getMessage());
        }
      }
      try {
        if (closing.await(Math.min(2_000, 50L << Math.min(failures, 6)), MILLISECONDS)) {
          return;
        }
      } catch (InterruptedException e) {
        return;
      }
    }
  }

  private static DataSource primary(DatabaseEndpoints where) {
    List<DatabaseEndpoints.Endpoint> servers = where.endpoints();
    PGSimpleDataSource source = new PGSimpleDataSource();
    source.setServerNames(
        servers.stream().map(DatabaseEndpoints.Endpoint::host).toArray(String[]::new));
    source.setPortNumbers(servers.stream().mapToInt(DatabaseEndpoints.Endpoint::port).toArray());
    source.setDatabaseName(where.database());
    source.setUser(where.user());
    source.setPassword(where.password().reveal());
    source.setTargetServerType("primary");
    source.setHostRecheckSeconds(0);
    source.setConnectTimeout(2);
    source.setSocketTimeout(120);
    source.setApplicationName("conexor-migrations");
    return source;
  }

  /** The version reached. */
  static String migrate(DataSource source) {
    Flyway flyway =
        Flyway.configure(Migrations.class.getClassLoader())
            .dataSource(source)
            .locations(PLACE)
            .failOnMissingLocations(true)
            .validateMigrationNaming(true)
            .baselineOnMigrate(true)
            .baselineVersion("0")
            .load();
    int known = flyway.info().all().length;
    flyway.migrate();
    MigrationInfo current = flyway.info().current();
    // Flyway that can't look into its bundle finds nothing, does nothing and reports success
    if (known == 0 || current == null || "0".equals(String.valueOf(current.getVersion()))) {
      throw new IllegalStateException("no migration was found at " + PLACE);
    }
    return String.valueOf(current.getVersion());
  }
}
