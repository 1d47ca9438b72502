package io.conexor.http;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.eclipse.jetty.http.HttpException;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.http.HttpStatus;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;

/** Error answers as {@code application/problem+json} (RFC 9457), Jetty's own included. */
final class Problems implements Request.Handler {

  static final String TYPE = "application/problem+json";

  static byte[] json(int status, String code, String detail) {
    StringBuilder json = new StringBuilder(128);
    json.append("{\"type\":\"about:blank\",\"title\":\"").append(HttpStatus.getMessage(status));
    json.append("\",\"status\":").append(status).append(",\"code\":\"").append(code);
    json.append("\",\"detail\":\"");
    for (int i = 0; i < detail.length(); i++) {
      char c = detail.charAt(i);
      if (c == '"' || c == '\\') {
        json.append('\\').append(c);
      } else if (c < 0x20) {
        json.append(' ');
      } else {
        json.append(c);
      }
    }
    return json.append("\"}").toString().getBytes(StandardCharsets.UTF_8);
  }

  static String code(int status) {
    return switch (status) {
      case 400 -> "bad_request";
      case 404 -> "not_found";
      case 405 -> "method_not_allowed";
      case 408 -> "request_timeout";
      case 413 -> "body_too_large";
      case 414 -> "uri_too_long";
      case 426 -> "upgrade_required";
      case 431 -> "headers_too_large";
      case 503 -> "unavailable";
      default -> status < 500 ? "bad_request" : "internal";
    };
  }

  @Override
  public boolean handle(Request request, Response response, Callback callback) {
    int status = response.getStatus();
    if (request.getAttribute(ErrorAttributes.EXCEPTION) instanceof HttpException known) {
      status = known.getCode();
    }
    if (status < 400) {
      status = 500;
    }
    response.setStatus(status);
    response.getHeaders().put(HttpHeader.CONTENT_TYPE, TYPE);
    response.getHeaders().put(HttpHeader.CACHE_CONTROL, "no-store");
    byte[] body = json(status, code(status), "the request could not be processed");
    response.write(true, ByteBuffer.wrap(body), callback);
    return true;
  }

  /** Names of request attributes that Jetty sets. */
  private static final class ErrorAttributes {
    static final String EXCEPTION = "org.eclipse.jetty.server.error_exception";
  }
}
