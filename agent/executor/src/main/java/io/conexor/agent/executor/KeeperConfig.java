package io.conexor.agent.executor;

import org.osgi.service.metatype.annotations.AttributeDefinition;
import org.osgi.service.metatype.annotations.ObjectClassDefinition;

/** Configuration of what outlives the backend that asked. */
@ObjectClassDefinition(
    name = "Executor",
    description = "Runs statements, and keeps results that somebody may come back for")
@interface KeeperConfig {
  String PID = "io.conexor.agent.executor";

  @AttributeDefinition(
      name = "Keep",
      description =
          "Most milliseconds a finished result is kept for whoever asked for that, 1000..3600000",
      min = "1000",
      max = "3600000")
  long keep_ms() default 600_000;

  @AttributeDefinition(
      name = "Linger",
      description =
          "Milliseconds a read goes on, or its result is kept, after its backend is gone,"
              + " 0..600000; 0 = it ends with its link",
      min = "0",
      max = "600000")
  long keep_linger_ms() default 15_000;

  @AttributeDefinition(
      name = "Kept queries",
      description = "Most queries that are recorded at one time, 0..100000",
      min = "0",
      max = "100000")
  int keep_results_max() default 256;

  @AttributeDefinition(
      name = "Kept bytes",
      description = "Most bytes of all recorded results, 0..17179869184",
      min = "0",
      max = "17179869184")
  long keep_bytes_max() default 64L << 20;

  @AttributeDefinition(
      name = "Kept bytes of a result",
      description = "Most bytes of one recorded result, 65536..2147483647",
      min = "65536",
      max = "2147483647")
  long keep_result_bytes_max() default 16L << 20;
}
