package io.conexor.audit;

import io.conexor.api.audit.AuditId;
import io.conexor.api.audit.AuditRecord;
import io.conexor.api.catalog.OrgId;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;

/** What the tests of this bundle share. */
final class Fixture {

  private Fixture() {}

  static final OrgId ORG = OrgId.of("00000000-0000-0000-0000-00000000000a");

  static AuditRecord record(long number) {
    return new AuditRecord(
        AuditId.random(),
        Instant.EPOCH.plusSeconds(1_700_000_000).plusMillis(number),
        ORG,
        "query.execute",
        AuditRecord.Outcome.OK,
        "key:5f0c8a9e",
        "192.0.2.1",
        "request-" + number,
        "node-a",
        null,
        "query",
        "sales",
        "berlin",
        null,
        "0123456789abcdef",
        2,
        number,
        false,
        1_234,
        null);
  }

  static Settings settings(Path folder) {
    return new Settings(folder, 16 << 20, 64 << 10, Duration.ofMillis(100), 65_536, 500);
  }
}
