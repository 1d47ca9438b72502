package io.conexor.agent.executor;

import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.AttributeType;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

/** Configuration of one data source; its name is the part of the PID behind the tilde. */
@ObjectClassDefinition(name = "Data source", description = "A local database this agent serves")
@interface SourceConfig {
  String PID = "io.conexor.agent.executor.source";

  @AttributeDefinition(
      name = "URL",
      description =
          "JDBC URL of PostgreSQL, MySQL, MariaDB, SQL Server, Oracle, SQLite or H2, without a password")
  String url();

  @AttributeDefinition(name = "User", description = "Role to connect as; one with SELECT only")
  String user() default "";

  @AttributeDefinition(
      name = "Password",
      description = "Password of the user",
      type = AttributeType.PASSWORD)
  String password() default "";

  @AttributeDefinition(
      name = "Read only",
      description =
          "Whether everything but reads is refused; false switches all three defences off")
  boolean read_only() default true;

  @AttributeDefinition(
      name = "Allowed functions",
      description =
          "Functions the gate lets through although they have effects, e.g. nextval or dblink*")
  String[] functions_allowed() default {};

  @AttributeDefinition(
      name = "Rows",
      description = "Most rows of one result, 1..100000000",
      min = "1",
      max = "100000000")
  long max_rows() default 100_000;

  @AttributeDefinition(
      name = "Bytes",
      description = "Most bytes of one result, 65536..1099511627776",
      min = "65536",
      max = "1099511627776")
  long max_bytes() default 256L * 1024 * 1024;

  @AttributeDefinition(
      name = "Time",
      description = "Most milliseconds for one statement, 100..3600000",
      min = "100",
      max = "3600000")
  long max_time_ms() default 60_000;

  @AttributeDefinition(
      name = "Concurrency",
      description = "Statements side by side, 0..256; 0 = twice the processors",
      min = "0",
      max = "256")
  int max_concurrent() default 0;

  @AttributeDefinition(
      name = "Queue",
      description = "Statements that may wait for a free place, 1..100000",
      min = "1",
      max = "100000")
  int max_queued() default 256;

  @AttributeDefinition(
      name = "Connect timeout",
      description = "Milliseconds to get a connection, 250..60000",
      min = "250",
      max = "60000")
  long connect_timeout_ms() default 3_000;

  @AttributeDefinition(
      name = "Probe interval",
      description = "Milliseconds between looks at the database's health, 200..3600000",
      min = "200",
      max = "3600000")
  long probe_interval_ms() default 5_000;

  @AttributeDefinition(
      name = "Schemas",
      description = "Schemas that are described to clients; empty = all but the engine's own")
  String[] schemas() default {};
}
