package io.conexor.demo;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What a person or a script needs to go on.
 *
 * @param key of the MCP server, for tools and queries
 * @param admin an administrator's key, for everything else of REST
 * @param pids by what they are
 * @param readyMillis from the start of the JVM until the rows had been printed
 */
record Facts(
    String base,
    String mcpPath,
    String key,
    String admin,
    String password,
    Path data,
    Map<String, Long> pids,
    long readyMillis) {

  Map<String, Object> json() {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("mcpUrl", base + mcpPath);
    json.put("restUrl", base + "/api/v1");
    json.put("healthUrl", base + "/health");
    json.put("apiKey", key);
    json.put("adminToken", admin);
    json.put("email", Setup.EMAIL);
    json.put("password", password);
    json.put("source", Setup.NAME);
    json.put("data", data.toString());
    json.put("pids", pids);
    json.put("readyMs", readyMillis);
    return json;
  }

  /**
   * @param shell the command that opens the shell of this very server
   */
  String text(String shell) {
    return """

      MCP      %1$s%2$s
      REST     %1$s/api/v1
      health   %1$s/health
      key      %3$s        header X-API-Key, for MCP and queries
      admin    %4$s        the same header, for everything else of REST
      login    %5$s / %6$s
      shell    %7$s
    """
        .formatted(base, mcpPath, key, admin, Setup.EMAIL, password, shell);
  }
}
