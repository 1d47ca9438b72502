package io.conexor.database.embedded;

import static java.util.concurrent.TimeUnit.SECONDS;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/** Runs the short programs that prepare a cluster. */
final class Commands {

  private static final long LONGEST_SECONDS = 120;

  private Commands() {}

  /** The program in the search path, or in the places where system tools live. */
  static Optional<Path> find(String program) {
    String path = Optional.ofNullable(System.getenv("PATH")).orElse("");
    return Stream.concat(
            Stream.of(path.split(":")), Stream.of("/usr/sbin", "/usr/bin", "/sbin", "/bin"))
        .filter(folder -> !folder.isEmpty())
        .map(folder -> Path.of(folder, program))
        .filter(Files::isExecutable)
        .findFirst();
  }

  /**
   * What the program printed.
   *
   * @throws IOException when it ended with another code than 0, or did not end; with what it said
   */
  static String run(List<String> command, String input) throws IOException, InterruptedException {
    Path output = Files.createTempFile("conexor-database-", ".log");
    Path stdin = Files.createTempFile("conexor-database-", ".in");
    try {
      Files.writeString(stdin, input);
      Process process =
          builder(command)
              .redirectErrorStream(true)
              .redirectInput(stdin.toFile())
              .redirectOutput(output.toFile())
              .start();
      boolean ended = process.waitFor(LONGEST_SECONDS, SECONDS);
      if (!ended) {
        process.destroyForcibly();
      }
      String said = new String(Files.readAllBytes(output), StandardCharsets.UTF_8).strip();
      if (!ended) {
        throw new IOException(
            program(command) + " did not end in " + LONGEST_SECONDS + " s: " + said);
      }
      if (process.exitValue() != 0) {
        throw new IOException(
            program(command) + " ended with " + process.exitValue() + ": " + said);
      }
      return said;
    } finally {
      Files.deleteIfExists(output);
      Files.deleteIfExists(stdin);
    }
  }

  /** A process that inherits nothing that could redirect PostgreSQL's tools. */
  static ProcessBuilder builder(List<String> command) {
    ProcessBuilder builder = new ProcessBuilder(command).directory(Path.of("/").toFile());
    Map<String, String> environment = builder.environment();
    environment.keySet().removeIf(name -> name.startsWith("PG"));
    environment.put("LC_ALL", "C");
    return builder;
  }

  private static String program(List<String> command) {
    return command.stream()
        .filter(word -> word.endsWith("initdb") || word.endsWith("postgres"))
        .findFirst()
        .orElse(command.get(0));
  }
}
