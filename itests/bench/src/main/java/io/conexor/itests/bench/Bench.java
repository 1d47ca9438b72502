package io.conexor.itests.bench;

import java.util.List;

/** Runs a bench by its name. */
public final class Bench {

  private Bench() {}

  public static void main(String[] args) throws Exception {
    switch (args.length == 1 ? args[0] : "") {
      case "relay" -> RelayBench.main(args);
      case "session" -> SessionBench.main(args);
      case "backplane" -> BackplaneBench.main(args);
      case "database" -> DatabaseBench.main(args);
      default -> {
        System.err.println(
            "there is no such bench; there are "
                + List.of("relay", "session", "backplane", "database"));
        System.exit(2);
      }
    }
  }
}
