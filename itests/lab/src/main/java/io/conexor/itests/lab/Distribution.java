package io.conexor.itests.lab;

import java.nio.file.Files;
import java.nio.file.Path;

/** The exploded archives that {@code ./conexor build} leaves in this source tree. */
enum Distribution {
  SERVER("distributions/server/target/conexor-server"),
  AGENT("distributions/agent/target/conexor-agent");

  private final String folder;

  Distribution(String folder) {
    this.folder = folder;
  }

  /** The root of the source tree. */
  static Path tree() {
    Path here = Path.of("").toAbsolutePath();
    while (here != null && !Files.isRegularFile(here.resolve("conexor"))) {
      here = here.getParent();
    }
    if (here == null) {
      throw new IllegalStateException("the working directory is not below the source tree");
    }
    return here;
  }

  Path home() {
    return tree().resolve(folder);
  }

  /** Its start script. */
  Path program() {
    Path home = home();
    Path program = home.resolve("bin").resolve(home.getFileName());
    if (!Files.isExecutable(program)) {
      throw new IllegalStateException(program + " is missing; run ./conexor build");
    }
    return program;
  }
}
