package io.conexor.protocol.hub;

import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.ProtocolException;
import io.conexor.protocol.json.JsonReader;
import io.conexor.protocol.json.JsonWriter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** SignalR's JSON protocol; see HubProtocol.md, section "JSON Encoding". */
final class JsonHubProtocol implements HubProtocol {
  @Override
  public String name() {
    return "json";
  }

  @Override
  public boolean isBinary() {
    return false;
  }

  @Override
  public void encode(HubMessage message, GrowingBytes out) {
    int before = out.size();
    boolean done = false;
    try {
      write(message, out);
      out.put(Handshake.RECORD_SEPARATOR);
      done = true;
    } finally {
      if (!done) {
        out.truncate(before);
      }
    }
  }

  private static void write(HubMessage message, GrowingBytes out) {
    if (message instanceof HubMessage.Invocation m) {
      begin(out, HubMessage.INVOCATION, m.headers());
      if (m.invocationId() != null) {
        field(out, "invocationId", m.invocationId());
      }
      call(out, m.target(), m.arguments(), m.streamIds());
    } else if (message instanceof HubMessage.StreamInvocation m) {
      begin(out, HubMessage.STREAM_INVOCATION, m.headers());
      field(out, "invocationId", m.invocationId());
      call(out, m.target(), m.arguments(), m.streamIds());
    } else if (message instanceof HubMessage.StreamItem m) {
      begin(out, HubMessage.STREAM_ITEM, m.headers());
      field(out, "invocationId", m.invocationId());
      field(out, "item", m.item());
    } else if (message instanceof HubMessage.Completion m) {
      begin(out, HubMessage.COMPLETION, m.headers());
      field(out, "invocationId", m.invocationId());
      if (m.error() != null) {
        field(out, "error", m.error());
      } else if (m.hasResult()) {
        field(out, "result", m.result());
      }
    } else if (message instanceof HubMessage.CancelInvocation m) {
      begin(out, HubMessage.CANCEL_INVOCATION, m.headers());
      field(out, "invocationId", m.invocationId());
    } else if (message instanceof HubMessage.Ping) {
      begin(out, HubMessage.PING, Map.of());
    } else if (message instanceof HubMessage.Close m) {
      begin(out, HubMessage.CLOSE, Map.of());
      if (m.error() != null) {
        field(out, "error", m.error());
      }
      if (m.allowReconnect()) {
        field(out, "allowReconnect", true);
      }
    } else if (message instanceof HubMessage.Ack m) {
      begin(out, HubMessage.ACK, Map.of());
      field(out, "sequenceId", m.sequenceId());
    } else if (message instanceof HubMessage.Sequence m) {
      begin(out, HubMessage.SEQUENCE, Map.of());
      field(out, "sequenceId", m.sequenceId());
    }
    out.put('}');
  }

  private static void begin(GrowingBytes out, int type, Map<String, String> headers) {
    out.putAscii("{\"type\":");
    out.putDecimal(type);
    if (!headers.isEmpty()) {
      field(out, "headers", headers);
    }
  }

  private static void call(
      GrowingBytes out, String target, List<@Nullable Object> arguments, List<String> streamIds) {
    field(out, "target", target);
    field(out, "arguments", arguments);
    if (!streamIds.isEmpty()) {
      field(out, "streamIds", streamIds);
    }
  }

  private static void field(GrowingBytes out, String name, @Nullable Object value) {
    out.putAscii(",\"");
    out.putAscii(name);
    out.putAscii("\":");
    JsonWriter.value(out, value);
  }

  @Override
  public List<HubMessage> decode(byte[] bytes, int offset, int length) {
    List<HubMessage> messages = new ArrayList<>(2);
    int end = offset + length;
    int start = offset;
    for (int at = offset; at < end; at++) {
      if (bytes[at] == Handshake.RECORD_SEPARATOR) {
        HubMessage message = message(bytes, start, at - start, start - offset);
        if (message != null) {
          messages.add(message);
        }
        start = at + 1;
      }
    }
    if (start != end) {
      throw new ProtocolException("a hub message without its end", length);
    }
    return messages;
  }

  private static @Nullable HubMessage message(byte[] bytes, int start, int length, int position) {
    Fields fields = new Fields(JsonReader.object(bytes, start, length), position);
    if (!(fields.json.get("type") instanceof Long type)) {
      throw fields.error("a hub message needs a type");
    }
    if (type < HubMessage.INVOCATION || type > HubMessage.SEQUENCE) {
      return null;
    }
    return switch (type.intValue()) {
      case HubMessage.INVOCATION ->
          new HubMessage.Invocation(
              fields.headers(),
              fields.textOrNull("invocationId"),
              fields.text("target"),
              fields.list("arguments"),
              fields.texts("streamIds"));
      case HubMessage.STREAM_INVOCATION ->
          new HubMessage.StreamInvocation(
              fields.headers(),
              fields.text("invocationId"),
              fields.text("target"),
              fields.list("arguments"),
              fields.texts("streamIds"));
      case HubMessage.STREAM_ITEM ->
          new HubMessage.StreamItem(
              fields.headers(), fields.text("invocationId"), fields.json.get("item"));
      case HubMessage.COMPLETION -> fields.completion();
      case HubMessage.CANCEL_INVOCATION ->
          new HubMessage.CancelInvocation(fields.headers(), fields.text("invocationId"));
      case HubMessage.PING -> HubMessage.Ping.INSTANCE;
      case HubMessage.CLOSE ->
          new HubMessage.Close(
              fields.textOrNull("error"), Boolean.TRUE.equals(fields.json.get("allowReconnect")));
      case HubMessage.ACK -> new HubMessage.Ack(fields.sequenceId());
      default -> new HubMessage.Sequence(fields.sequenceId());
    };
  }

  private record Fields(Map<String, @Nullable Object> json, int position) {
    ProtocolException error(String message) {
      return new ProtocolException(message, position);
    }

    @Nullable String textOrNull(String name) {
      Object value = json.get(name);
      if (value == null) {
        return null;
      }
      if (value instanceof String text) {
        return text;
      }
      throw error(name + " of a hub message has to be a text");
    }

    String text(String name) {
      String text = textOrNull(name);
      if (text == null) {
        throw error("a hub message of this type needs " + name);
      }
      return text;
    }

    List<@Nullable Object> list(String name) {
      Object value = json.get(name);
      if (value == null) {
        return List.of();
      }
      if (value instanceof List<?> list) {
        return new ArrayList<>(list);
      }
      throw error(name + " of a hub message has to be an array");
    }

    List<String> texts(String name) {
      List<String> texts = new ArrayList<>();
      for (Object item : list(name)) {
        if (!(item instanceof String text)) {
          throw error(name + " of a hub message has to hold texts");
        }
        texts.add(text);
      }
      return texts;
    }

    Map<String, String> headers() {
      Object value = json.get("headers");
      if (value == null) {
        return Map.of();
      }
      if (!(value instanceof Map<?, ?> map)) {
        throw error("headers of a hub message have to be an object");
      }
      Map<String, String> headers = new LinkedHashMap<>();
      for (Map.Entry<?, ?> entry : map.entrySet()) {
        if (!(entry.getKey() instanceof String name)
            || !(entry.getValue() instanceof String text)) {
          throw error("headers of a hub message have to hold texts");
        }
        headers.put(name, text);
      }
      return headers;
    }

    HubMessage completion() {
      String error = textOrNull("error");
      boolean hasResult = json.containsKey("result");
      if (error != null && hasResult) {
        throw error("a completion holds an error or a result, not both");
      }
      return new HubMessage.Completion(
          headers(), text("invocationId"), error, hasResult, json.get("result"));
    }

    long sequenceId() {
      if (json.get("sequenceId") instanceof Long id && id >= 0) {
        return id;
      }
      throw error("a hub message of this type needs a sequenceId");
    }
  }
}
