package io.conexor.database.embedded;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * What a postmaster says of itself in {@code postmaster.pid}.
 *
 * @param status {@code ready} once it takes connections
 */
record PidFile(long pid, String status) {

  static Optional<PidFile> read(Path data) throws IOException {
    Path file = data.resolve("postmaster.pid");
    if (!Files.exists(file)) {
      return Optional.empty();
    }
    List<String> lines = Files.readAllLines(file);
    try {
      // a single-user backend writes its pid with a minus sign
      long pid = lines.isEmpty() ? 0 : Math.abs(Long.parseLong(lines.get(0).strip()));
      return Optional.of(new PidFile(pid, lines.size() > 7 ? lines.get(7).strip() : ""));
    } catch (NumberFormatException torn) {
      return Optional.of(new PidFile(0, ""));
    }
  }

  /**
   * True when the process lives and is a PostgreSQL working in this data folder: pids are used
   * again, and the file of a killed server may name anybody.
   */
  boolean isServing(Path data) {
    Optional<ProcessHandle> handle = pid > 0 ? ProcessHandle.of(pid) : Optional.empty();
    if (handle.isEmpty() || !handle.get().isAlive()) {
      return false;
    }
    Path proc = Path.of("/proc", Long.toString(pid));
    try {
      if (Files.isDirectory(proc)) {
        // a zombie has neither folder nor program
        return Files.readSymbolicLink(proc.resolve("cwd")).equals(data.toRealPath())
            && Files.readSymbolicLink(proc.resolve("exe")).toString().contains("postgres");
      }
      String command = handle.get().info().commandLine().orElse("");
      return command.contains("postgres") && command.contains(data.toString());
    } catch (IOException notOurs) {
      return false;
    }
  }
}
