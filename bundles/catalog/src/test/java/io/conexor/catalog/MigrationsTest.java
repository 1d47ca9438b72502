package io.conexor.catalog;

import static org.assertj.core.api.Assertions.assertThat;

import io.conexor.api.database.LocalPostgres;
import java.sql.ResultSet;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.postgresql.ds.PGSimpleDataSource;

class MigrationsTest {

  @Test
  void three_backends_that_start_at_once_apply_each_migration_once() throws Exception {
    ExecutorService backends = Executors.newFixedThreadPool(3);
    try (LocalPostgres server = LocalPostgres.start()) {
      PGSimpleDataSource source = new PGSimpleDataSource();
      source.setUrl(server.url());
      CyclicBarrier together = new CyclicBarrier(3);
      List<Future<String>> versions = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        versions.add(
            backends.submit(
                () -> {
                  together.await(10, TimeUnit.SECONDS);
                  return Migrations.migrate(source);
                }));
      }
      String version = versions.get(0).get(60, TimeUnit.SECONDS);

      assertThat(version).isNotEqualTo("0");
      for (Future<String> each : versions) {
        assertThat(each.get(60, TimeUnit.SECONDS)).isEqualTo(version);
      }
      try (var connection = server.connect();
          var statement = connection.createStatement();
          ResultSet row =
              statement.executeQuery(
                  "select count(*), count(distinct version) from flyway_schema_history"
                      + " where success and version <> '0'")) {
        row.next();
        assertThat(row.getInt(1)).isPositive().isEqualTo(row.getInt(2));
      }
    } finally {
      backends.shutdownNow();
    }
  }
}
