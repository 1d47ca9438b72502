package io.conexor.dispatch;

import io.conexor.api.ConexorException;
import io.conexor.api.ConexorException.Applied;
import io.conexor.api.ConexorException.Blame;
import io.conexor.api.call.AgentCall;
import io.conexor.api.call.QuerySummary;
import io.conexor.api.call.RowBatch;
import io.conexor.api.call.RowSink;
import io.conexor.api.call.SourceSchema;
import io.conexor.protocol.rows.RowReader;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.json.JsonFactory;

/** Makes a {@link SourceSchema} of the rows an agent sends, one JSON document per table. */
final class SchemaSink implements RowSink {

  private static final int MAX_JSON = 4 * 1024 * 1024;

  private final String source;
  private final String engine;
  private final CompletableFuture<SourceSchema> answer;
  private final JsonFactory json = JsonFactory.builder().build();
  private final List<SourceSchema.Table> tables = new ArrayList<>();
  private int owed;
  private @Nullable AgentCall call;

  SchemaSink(String source, String engine, CompletableFuture<SourceSchema> answer) {
    this.source = source;
    this.engine = engine;
    this.answer = answer;
  }

  /** The call is known only after it started, and batches may have come before. */
  synchronized void started(AgentCall started) {
    call = started;
    if (owed > 0) {
      started.request(owed);
      owed = 0;
    }
  }

  @Override
  public void batch(RowBatch batch) {
    try {
      RowReader rows = new RowReader(batch.data(), batch.offset(), batch.length());
      while (rows.nextRow()) {
        String text = rows.text();
        if (text.length() > MAX_JSON) {
          throw new IllegalArgumentException("a table of " + text.length() + " characters");
        }
        tables.add(table(text));
      }
    } catch (RuntimeException e) {
      answer.completeExceptionally(
          new ConexorException(
              Blame.BUG,
              Applied.NO,
              "agent_protocol",
              "the schema of '" + source + "' is garbled",
              e));
    }
    synchronized (this) {
      AgentCall known = call;
      if (known == null) {
        owed++;
      } else {
        known.request(1);
      }
    }
  }

  @Override
  public void done(QuerySummary summary) {
    tables.sort(
        Comparator.comparing(SourceSchema.Table::schema).thenComparing(SourceSchema.Table::name));
    answer.complete(new SourceSchema(source, engine, Instant.now(), tables));
  }

  @Override
  public void failed(ConexorException cause) {
    answer.completeExceptionally(cause);
  }

  private SourceSchema.Table table(String text) {
    try (JsonParser p = json.createParser(ObjectReadContext.empty(), text)) {
      p.nextToken();
      String schema = "";
      String name = "";
      String kind = "table";
      String comment = "";
      long rows = -1;
      List<SourceSchema.TableColumn> columns = List.of();
      List<String> primaryKey = List.of();
      List<List<String>> unique = List.of();
      List<SourceSchema.ForeignKey> foreignKeys = List.of();
      List<List<String>> indexes = List.of();
      while (p.nextToken() == JsonToken.PROPERTY_NAME) {
        String key = p.currentName();
        p.nextToken();
        switch (key) {
          case "schema" -> schema = text(p);
          case "name" -> name = text(p);
          case "kind" -> kind = text(p);
          case "comment" -> comment = text(p);
          case "estimatedRows" ->
              rows = p.currentToken() == JsonToken.VALUE_NUMBER_INT ? p.getLongValue() : -1;
          case "columns" -> columns = list(p, SchemaSink::column);
          case "primaryKey" -> primaryKey = list(p, SchemaSink::text);
          case "unique" -> unique = list(p, q -> list(q, SchemaSink::text));
          case "foreignKeys" -> foreignKeys = list(p, SchemaSink::foreignKey);
          case "indexes" -> indexes = list(p, q -> list(q, SchemaSink::text));
          default -> p.skipChildren();
        }
      }
      return new SourceSchema.Table(
          schema, name, kind, comment, rows, columns, primaryKey, unique, foreignKeys, indexes);
    }
  }

  private interface Item<T> {
    T read(JsonParser p);
  }

  private static <T> List<T> list(JsonParser p, Item<T> item) {
    List<T> list = new ArrayList<>();
    if (p.currentToken() == JsonToken.START_ARRAY) {
      while (p.nextToken() != JsonToken.END_ARRAY) {
        list.add(item.read(p));
      }
    }
    return list;
  }

  private static String text(JsonParser p) {
    if (p.currentToken() == JsonToken.VALUE_NULL) {
      return "";
    }
    if (!p.currentToken().isScalarValue()) {
      throw new IllegalArgumentException("text expected");
    }
    return p.getString();
  }

  private static SourceSchema.TableColumn column(JsonParser p) {
    String name = "";
    String type = "OTHER";
    String engineType = "";
    boolean nullable = true;
    String defaultValue = "";
    String comment = "";
    while (p.nextToken() == JsonToken.PROPERTY_NAME) {
      String key = p.currentName();
      p.nextToken();
      switch (key) {
        case "name" -> name = text(p);
        case "type" -> type = text(p);
        case "engineType" -> engineType = text(p);
        case "nullable" -> nullable = p.currentToken() != JsonToken.VALUE_FALSE;
        case "default" -> defaultValue = text(p);
        case "comment" -> comment = text(p);
        default -> p.skipChildren();
      }
    }
    return new SourceSchema.TableColumn(
        name, Columns.type(type), engineType, nullable, defaultValue, comment);
  }

  private static SourceSchema.ForeignKey foreignKey(JsonParser p) {
    List<String> columns = List.of();
    String schema = "";
    String table = "";
    List<String> refColumns = List.of();
    while (p.nextToken() == JsonToken.PROPERTY_NAME) {
      String key = p.currentName();
      p.nextToken();
      switch (key) {
        case "columns" -> columns = list(p, SchemaSink::text);
        case "refSchema" -> schema = text(p);
        case "refTable" -> table = text(p);
        case "refColumns" -> refColumns = list(p, SchemaSink::text);
        default -> p.skipChildren();
      }
    }
    return new SourceSchema.ForeignKey(columns, schema, table, refColumns);
  }
}
