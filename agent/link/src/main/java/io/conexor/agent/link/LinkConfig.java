package io.conexor.agent.link;

import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.AttributeType;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

/** Configuration of the agent's links. */
@ObjectClassDefinition(name = "Agent links", description = "Links of this agent to the backends")
@interface LinkConfig {
  String PID = "io.conexor.agent.link";

  @AttributeDefinition(
      name = "Backend URL",
      description = "The one public URL of the backends, http(s) or ws(s)")
  String backend_url();

  @AttributeDefinition(
      name = "Key",
      description = "The agent's key, pk_...",
      type = AttributeType.PASSWORD)
  String key();

  @AttributeDefinition(
      name = "Name",
      description = "What this process calls itself; empty = the host's name")
  String name() default "";

  @AttributeDefinition(
      name = "Links",
      description = "Most backends to be linked to at once, 1..16",
      min = "1",
      max = "16")
  int links_max() default 3;

  @AttributeDefinition(name = "Proxy", description = "HTTP proxy as host:port; empty = none")
  String proxy() default "";

  @AttributeDefinition(
      name = "Proxy user",
      description = "Who the proxy lets through, by Basic login; empty = it asks for nobody")
  String proxy_user() default "";

  @AttributeDefinition(
      name = "Proxy password",
      description = "Password of the proxy user",
      type = AttributeType.PASSWORD)
  String proxy_password() default "";

  @AttributeDefinition(
      name = "CA file",
      description = "PEM file with the certificates to trust; empty = those of the JVM")
  String tls_ca_file() default "";

  @AttributeDefinition(
      name = "Trust store",
      description =
          "PKCS12 file with the certificates to trust, instead of tls.ca.file; empty = none")
  String tls_truststore_file() default "";

  @AttributeDefinition(
      name = "Trust store password",
      description = "Opens tls.truststore.file",
      type = AttributeType.PASSWORD)
  String tls_truststore_password() default "";

  @AttributeDefinition(
      name = "Client certificate",
      description = "PKCS12 file with the agent's own certificate and key; empty = none")
  String tls_keystore_file() default "";

  @AttributeDefinition(
      name = "Client certificate password",
      description = "Opens tls.keystore.file",
      type = AttributeType.PASSWORD)
  String tls_keystore_password() default "";

  @AttributeDefinition(
      name = "Connect timeout",
      description =
          "Milliseconds to reach a backend, 100..60000; its welcome has to follow in as much again",
      min = "100",
      max = "60000")
  long connect_timeout_ms() default 5_000;

  @AttributeDefinition(
      name = "Liveness",
      description =
          "Milliseconds of silence after which a link is dead, 300..600000; at least twice the heartbeat of the hub",
      min = "300",
      max = "600000")
  long liveness_timeout_ms() default 3_000;

  @AttributeDefinition(
      name = "First backoff",
      description = "Milliseconds within which a lost link is dialled again, 10..60000",
      min = "10",
      max = "60000")
  long backoff_initial_ms() default 500;

  @AttributeDefinition(
      name = "Longest backoff",
      description = "Milliseconds that a dial is put off at most, 100..600000",
      min = "100",
      max = "600000")
  long backoff_max_ms() default 5_000;

  @AttributeDefinition(
      name = "Outbound bound",
      description = "Bytes that may wait to be sent on one link, 65536..1073741824",
      min = "65536",
      max = "1073741824")
  long outbound_max_bytes() default 16 * 1024 * 1024;

  @AttributeDefinition(
      name = "Drain timeout",
      description = "Milliseconds that a stopping agent waits for running calls, 0..600000",
      min = "0",
      max = "600000")
  long drain_timeout_ms() default 20_000;
}
