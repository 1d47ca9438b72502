package io.conexor.protocol.hub;

import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.msgpack.PackReader;
import io.conexor.protocol.msgpack.PackType;
import io.conexor.protocol.msgpack.PackWriter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** SignalR's MessagePack protocol; see HubProtocol.md, section "MessagePack (MsgPack) Encoding". */
final class MessagePackHubProtocol implements HubProtocol {
  private static final int ERROR = 1;
  private static final int NOTHING = 2;
  private static final int RESULT = 3;

  private static final int MAX_NAME = 4_096;
  private static final int MAX_ITEMS = 1_024;

  @Override
  public String name() {
    return "messagepack";
  }

  @Override
  public boolean isBinary() {
    return true;
  }

  @Override
  public void encode(HubMessage message, GrowingBytes out) {
    FrameWriter frame = new FrameWriter(out);
    boolean done = false;
    try {
      encode(message, frame);
      done = true;
    } finally {
      if (!done) {
        frame.abort();
      }
    }
  }

  private static void encode(HubMessage message, FrameWriter frame) {
    if (message instanceof HubMessage.Invocation m) {
      PackWriter pack = begin(frame, HubMessage.INVOCATION, 6, m.headers());
      pack.textOrNil(m.invocationId());
      call(pack, m.target(), m.arguments(), m.streamIds());
    } else if (message instanceof HubMessage.StreamInvocation m) {
      PackWriter pack = begin(frame, HubMessage.STREAM_INVOCATION, 6, m.headers());
      pack.text(m.invocationId());
      call(pack, m.target(), m.arguments(), m.streamIds());
    } else if (message instanceof HubMessage.StreamItem m) {
      PackWriter pack = begin(frame, HubMessage.STREAM_ITEM, 4, m.headers());
      pack.text(m.invocationId());
      pack.value(m.item());
    } else if (message instanceof HubMessage.Completion m) {
      String error = m.error();
      boolean isVoid = error == null && !m.hasResult();
      PackWriter pack = begin(frame, HubMessage.COMPLETION, isVoid ? 4 : 5, m.headers());
      pack.text(m.invocationId());
      pack.integer(error != null ? ERROR : isVoid ? NOTHING : RESULT);
      if (error != null) {
        pack.text(error);
      } else if (!isVoid) {
        pack.value(m.result());
      }
    } else if (message instanceof HubMessage.CancelInvocation m) {
      begin(frame, HubMessage.CANCEL_INVOCATION, 3, m.headers()).text(m.invocationId());
    } else if (message instanceof HubMessage.Ping) {
      frame.ping();
      return;
    } else if (message instanceof HubMessage.Close m) {
      frame.close(m.error(), m.allowReconnect());
      return;
    } else if (message instanceof HubMessage.Ack m) {
      frame.begin(HubMessage.ACK, 2).integer(m.sequenceId());
    } else if (message instanceof HubMessage.Sequence m) {
      frame.begin(HubMessage.SEQUENCE, 2).integer(m.sequenceId());
    }
    frame.end();
  }

  private static PackWriter begin(
      FrameWriter frame, int type, int items, Map<String, String> headers) {
    PackWriter pack = frame.begin(type, items);
    pack.map(headers.size());
    for (Map.Entry<String, String> header : headers.entrySet()) {
      pack.text(header.getKey());
      pack.text(header.getValue());
    }
    return pack;
  }

  private static void call(
      PackWriter pack, String target, List<@Nullable Object> arguments, List<String> streamIds) {
    pack.text(target);
    pack.array(arguments.size());
    for (Object argument : arguments) {
      pack.value(argument);
    }
    pack.array(streamIds.size());
    for (String id : streamIds) {
      pack.text(id);
    }
  }

  @Override
  public List<HubMessage> decode(byte[] bytes, int offset, int length) {
    List<HubMessage> messages = new ArrayList<>(2);
    FrameReader frames = new FrameReader().reset(bytes, offset, length);
    while (frames.next()) {
      HubMessage message = decode(frames);
      if (message != null) {
        messages.add(message);
      }
    }
    return messages;
  }

  private static @Nullable HubMessage decode(FrameReader frames) {
    PackReader body = frames.body();
    return switch (frames.type()) {
      case HubMessage.INVOCATION -> {
        frames.need(4);
        Map<String, String> headers = headers(frames);
        String id = body.textOrNil(MAX_NAME);
        String target = body.text(MAX_NAME);
        yield new HubMessage.Invocation(headers, id, target, values(body), streamIds(frames));
      }
      case HubMessage.STREAM_INVOCATION -> {
        frames.need(4);
        Map<String, String> headers = headers(frames);
        String id = body.text(MAX_NAME);
        String target = body.text(MAX_NAME);
        yield new HubMessage.StreamInvocation(headers, id, target, values(body), streamIds(frames));
      }
      case HubMessage.STREAM_ITEM -> {
        frames.need(3);
        Map<String, String> headers = headers(frames);
        yield new HubMessage.StreamItem(headers, body.text(MAX_NAME), body.value());
      }
      case HubMessage.COMPLETION -> completion(frames);
      case HubMessage.CANCEL_INVOCATION ->
          new HubMessage.CancelInvocation(headers(frames), body.text(MAX_NAME));
      case HubMessage.PING -> HubMessage.Ping.INSTANCE;
      case HubMessage.CLOSE -> {
        frames.need(1);
        String error = body.textOrNil(Integer.MAX_VALUE);
        yield new HubMessage.Close(error, frames.items() > 1 && body.bool());
      }
      case HubMessage.ACK -> {
        frames.need(1);
        yield new HubMessage.Ack(body.nonNegative());
      }
      case HubMessage.SEQUENCE -> {
        frames.need(1);
        yield new HubMessage.Sequence(body.nonNegative());
      }
      default -> null;
    };
  }

  private static HubMessage.Completion completion(FrameReader frames) {
    frames.need(3);
    PackReader body = frames.body();
    Map<String, String> headers = headers(frames);
    String id = body.text(MAX_NAME);
    int kind = body.integer(ERROR, RESULT);
    if (kind == NOTHING) {
      return new HubMessage.Completion(headers, id, null, false, null);
    }
    frames.need(4);
    return kind == ERROR
        ? new HubMessage.Completion(headers, id, body.text(Integer.MAX_VALUE), false, null)
        : new HubMessage.Completion(headers, id, null, true, body.value());
  }

  /**
   * The frame reader has checked and passed them already, as most readers do not want them: read
   * them again.
   */
  private static Map<String, String> headers(FrameReader frames) {
    PackReader body = frames.body();
    int behind = body.index();
    body.range(frames.headersStart(), frames.end());
    Map<String, String> headers = Map.of();
    if (!body.nextNil()) {
      int entries = body.map(64);
      if (entries > 0) {
        headers = new LinkedHashMap<>();
        for (int i = 0; i < entries; i++) {
          String name = body.text(MAX_NAME);
          headers.put(name, body.text(MAX_NAME));
        }
      }
    }
    body.range(behind, frames.end());
    return headers;
  }

  private static List<@Nullable Object> values(PackReader body) {
    int length = body.array(MAX_ITEMS);
    List<@Nullable Object> values = new ArrayList<>(length);
    for (int i = 0; i < length; i++) {
      values.add(body.value());
    }
    return values;
  }

  private static List<String> streamIds(FrameReader frames) {
    PackReader body = frames.body();
    if (frames.items() < 5 || body.peek() == PackType.NIL) {
      return List.of();
    }
    int length = body.array(MAX_ITEMS);
    List<String> ids = new ArrayList<>(length);
    for (int i = 0; i < length; i++) {
      ids.add(body.text(MAX_NAME));
    }
    return ids;
  }
}
