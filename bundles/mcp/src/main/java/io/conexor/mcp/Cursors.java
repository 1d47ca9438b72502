package io.conexor.mcp;

import io.conexor.api.access.Tokens;
import io.conexor.mcp.ToolDefinition.Paging;
import io.conexor.mcp.ToolDefinition.Statement;
import io.conexor.protocol.json.JsonReader;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Where the next page of a result begins, in a signed token that fits only the same tool with the
 * same arguments. Behind the last key where there is one: rows that come and go meanwhile move
 * nothing. Else after so many rows of the same statement, run again.
 */
final class Cursors {

  private static final String PURPOSE = "mcp.rows";
  private static final Duration TIME_TO_LIVE = Duration.ofHours(1);

  static final Page FIRST = new Page(0, 0, null);

  /**
   * A place in a result.
   *
   * @param skipped rows to pass over
   * @param skippedBytes what they take on the wire
   * @param after the key of the row before; null at the beginning or when rows are counted
   */
  record Page(long skipped, long skippedBytes, @Nullable List<@Nullable Object> after) {}

  private final Tokens tokens;

  Cursors(Tokens tokens) {
    this.tokens = tokens;
  }

  /** What makes two calls the same but for the page. */
  private static String fingerprint(Map<String, @Nullable Object> arguments) {
    Map<String, @Nullable Object> rest = new TreeMap<>(arguments);
    rest.remove("cursor");
    rest.remove("limit");
    return ToolCalls.hash(rest.toString());
  }

  Page page(String cursor, ToolDefinition tool, Map<String, @Nullable Object> arguments) {
    byte[] claims = tokens.verify(PURPOSE, cursor).orElse(new byte[0]);
    Object parsed = claims.length == 0 ? null : JsonReader.value(claims, 0, claims.length);
    if (!(parsed instanceof List<?> list)
        || list.size() < 4
        || !tool.name().equals(list.get(0))
        || !fingerprint(arguments).equals(list.get(1))
        || !(list.get(2) instanceof Long skipped)
        || !(list.get(3) instanceof Long bytes)) {
      throw new Arguments.InvalidException(
          "the cursor belongs to another call, or has expired; start again without it");
    }
    return new Page(
        skipped, bytes, list.size() == 4 ? null : List.copyOf(list.subList(4, list.size())));
  }

  /** The token for what follows a page; null when nothing could find it again. */
  @Nullable String next(
      ToolDefinition tool,
      Map<String, @Nullable Object> arguments,
      Statement statement,
      Page page,
      ResultSink sink) {
    if (statement.paging() == Paging.NONE) {
      return null;
    }
    List<@Nullable Object> claims = new ArrayList<>();
    claims.add(tool.name());
    claims.add(fingerprint(arguments));
    if (statement.paging() == Paging.SKIP) {
      claims.add(page.skipped() + sink.rows());
      claims.add(sink.bytes());
    } else {
      List<@Nullable Object> key = sink.lastKey();
      if (key == null) {
        return null;
      }
      claims.add(0L);
      claims.add(0L);
      claims.addAll(key);
    }
    return tokens.issue(PURPOSE, Json.bytes(claims), TIME_TO_LIVE);
  }
}
