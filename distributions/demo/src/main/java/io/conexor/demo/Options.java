package io.conexor.demo;

import java.nio.file.Path;
import java.util.List;
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
      if (!List.of("--data", "--json").contains(args[i])) {
        throw new DemoException("'" + args[i] + "' is not understood\n" + USAGE);
      }
      if (i + 1 == args.length) {
        throw new DemoException(args[i] + " wants a value\n" + USAGE);
      }
      Path value = Path.of(args[i + 1]);
      if (args[i++].equals("--data")) {
        data = value;
      } else {
        json = value;
      }
    }
    return new Options(
        data.toAbsolutePath().normalize(), json == null ? null : json.toAbsolutePath());
  }
}
