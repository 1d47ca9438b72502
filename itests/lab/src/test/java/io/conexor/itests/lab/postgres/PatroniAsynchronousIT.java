package io.conexor.itests.lab.postgres;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.awaitility.Awaitility.await;

import io.conexor.api.ConexorException;
import io.conexor.api.ConexorException.Applied;
import io.conexor.api.Deadline;
import io.conexor.api.health.Health;
import io.conexor.database.PostgresDatabase;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;

/** Two nodes that do not wait for each other: what one acknowledged, the other may lack. */
@EnabledIfSystemProperty(named = "conexor.full", matches = "true")
class PatroniAsynchronousIT extends PatroniContract {

  @Override
  PatroniLab started() {
    return PatroniLab.startAsynchronous(2);
  }

  @Override
  int nodes() {
    return 2;
  }

  /** Nothing is promised for what only the old one had; it is applied once, and nothing fails. */
  @Test
  @EnabledIfSystemProperty(named = "conexor.full", matches = "true")
  void without_synchronous_replication_a_killed_postmaster_costs_no_error() throws Exception {
    run("asynchronous, postmaster killed", PatroniNode::killPostmaster);
  }

  @Test
  void a_primary_whose_patroni_hangs_is_not_written_to_once_the_other_was_promoted()
      throws Exception {
    run("asynchronous, Patroni frozen", PatroniNode::freezePatroni);
  }

  /** PostgreSQL of the new primary is out of reach, Patroni is not. */
  @Test
  void a_promotion_that_only_patroni_tells_of_ends_writes_to_the_old_primary() {
    lab.heal();
    PatroniNode old = lab.leader().orElseThrow();
    try (PostgresDatabase database =
        PostgresDatabase.open(lab.endpointsWithPatroni(List.of(old)), Map.of())) {
      await()
          .atMost(Duration.ofSeconds(20))
          .until(() -> database.check().status() == Health.Status.HEALTHY);
      old.freezePatroni();
      lab.awaitPromotion(old);
      await()
          .atMost(Duration.ofSeconds(5))
          .until(() -> database.check().reason().contains("is a stale primary"));

      ConexorException refused =
          catchThrowableOfType(
              ConexorException.class,
              () ->
                  database.write(
                      Deadline.in(Duration.ofMillis(300)),
                      connection -> {
                        try (var statement = connection.createStatement()) {
                          return statement.execute("create table lost (n int)");
                        }
                      }));

      assertThat(old.isWritable()).as("the old one would take it").isTrue();
      assertThat(refused).isNotNull();
      assertThat(refused.applied()).isEqualTo(Applied.NO);
      assertThat(database.check().details().toString()).contains("a newer timeline was seen");
    }
    lab.heal();
  }
}
