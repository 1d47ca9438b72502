package io.conexor.mcp;

import io.conexor.protocol.GrowingBytes;
import io.conexor.protocol.json.JsonWriter;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Small JSON values in order, and their bytes. */
final class Json {

  private Json() {}

  /** Key, value, key, value, ...; a null value leaves its key out. */
  static Map<String, @Nullable Object> object(@Nullable Object... pairs) {
    Map<String, @Nullable Object> map = new LinkedHashMap<>();
    for (int i = 0; i < pairs.length; i += 2) {
      if (pairs[i + 1] != null) {
        map.put((String) pairs[i], pairs[i + 1]);
      }
    }
    return map;
  }

  static byte[] bytes(@Nullable Object value) {
    GrowingBytes out = new GrowingBytes(256, 64 << 20);
    JsonWriter.value(out, value);
    return out.toByteArray();
  }
}
