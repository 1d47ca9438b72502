package io.conexor.demo;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * What the command line says.
 *
 * @param data where everything is written
 * @param json where the facts go; null = nowhere
 */
record Options(Path data, @Nullable Path json) {

  static final String USAGE =
      """
      usage: ./conexor demo [--data DIR] [--json FILE]

        --data DIR    keep everything the demo writes there, instead of target/demo
        --json FILE   write URLs, keys and process ids there once all is ready
      """;

  static Options of(String[] args, Path defaultData) {
    Path data = defaultData;
    Path json = null;
    for (int i = 0; i < args.length; i++) {
      if (i + 1 == args.length) {
        throw new DemoException(args[i] + " is not understood here\n" + USAGE);
      }
      switch (args[i]) {
        case "--data" -> data = Path.of(args[++i]);
        case "--json" -> json = Path.of(args[++i]);
        default -> throw new DemoException(args[i] + " is not understood here\n" + USAGE);
      }
    }
    return new Options(
        data.toAbsolutePath().normalize(), json == null ? null : json.toAbsolutePath());
  }
}
