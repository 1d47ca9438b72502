package io.conexor.itests.bench;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** Google's MCP Toolbox for Databases, its native program from npm. */
final class Toolbox implements AutoCloseable {

  private static final String PACKAGE = "@toolbox-sdk/server@1.12.0";
  private static final String SQL = "SELECT id, balance FROM accounts WHERE id = ";

  private final Processes.Running process;
  private final int port;

  private Toolbox(Processes.Running process, int port) {
    this.process = process;
    this.port = port;
  }

  /**
   * @param installation where it is, or is put
   */
  static Toolbox start(Path directory, Path installation, AccountsDatabase postgres)
      throws IOException, InterruptedException {
    if (!Files.isDirectory(installation.resolve("node_modules"))) {
      Files.createDirectories(installation);
      Processes.run(
          List.of("npm", "install", "--no-audit", "--no-fund", "--prefix", ".", PACKAGE),
          installation,
          installation.resolve("npm.log"));
    }
    Path configuration = directory.resolve("toolbox.yaml");
    Files.writeString(configuration, configuration(postgres));
    int port = Processes.freePort();
    Processes.Running process =
        Processes.start(
            "toolbox",
            List.of(
                program(installation).toString(),
                "--disable-reload",
                "--disable-version-check",
                "--log-level",
                "warn",
                "-p",
                Integer.toString(port),
                "--config",
                configuration.toString()),
            directory,
            Map.of());
    Toolbox toolbox = new Toolbox(process, port);
    Processes.await("MCP Toolbox", process, 30, toolbox::answers);
    return toolbox;
  }

  private static Path program(Path installation) throws IOException {
    try (Stream<Path> files = Files.walk(installation.resolve("node_modules/@toolbox-sdk"), 3)) {
      return files
          .filter(file -> file.endsWith("bin/toolbox") && Files.isExecutable(file))
          .findFirst()
          .orElseThrow(() -> new IOException("no toolbox for this platform in " + installation));
    }
  }

  private static String configuration(AccountsDatabase postgres) throws IOException {
    return """
    kind: source
    name: bench
    type: postgres
    host: 127.0.0.1
    port: %d
    database: %s
    user: %s
    password: %s
    ---
    kind: tool
    name: account
    type: postgres-sql
    source: bench
    description: One account by its id.
    parameters:
    - name: id
      type: integer
      description: Which account.
    statement: %s$1
    ---
    kind: tool
    name: execute_sql
    type: postgres-execute-sql
    source: bench
    description: Any SQL.
    """
        .formatted(
            postgres.port(),
            postgres.database(),
            AccountsDatabase.READER,
            postgres.password(),
            SQL);
  }

  private boolean answers() {
    try {
      return HttpLoad.run(prepared(), 1, 0.01).failures() == 0;
    } catch (IOException | RuntimeException e) {
      return false;
    }
  }

  HttpLoad.Target prepared() {
    return target(id -> "{\"name\":\"account\",\"arguments\":{\"id\":" + id + "}}");
  }

  /** It takes no parameters besides the text. */
  HttpLoad.Target executeSql() {
    return target(id -> "{\"name\":\"execute_sql\",\"arguments\":{\"sql\":\"" + SQL + id + "\"}}");
  }

  private HttpLoad.Target target(java.util.function.IntFunction<String> params) {
    return new HttpLoad.Target(
        port,
        id -> ToolCall.request("/mcp", "", params.apply(id)),
        // The row travels as text inside a text
        id ->
            ("{\\\"id\\\":" + id + ",\\\"balance\\\":" + AccountsDatabase.balance(id) + "}")
                .getBytes(StandardCharsets.US_ASCII));
  }

  /** Processor time so far. */
  double cpuMicros() {
    return process.cpuMicros();
  }

  @Override
  public void close() {
    process.close();
  }
}
