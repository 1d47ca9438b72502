package io.conexor.itests.lab;

import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * A person who is signed in, and the small things a page keeps for that login.
 *
 * @param cookie name and value
 * @param csrf for changes
 */
public record Login(String url, String cookie, String csrf) {

  /** Signs the administrator in once more. */
  public static Login of(Tenant tenant) {
    HttpResponse<String> answer =
        tenant.call("POST", "/login", Map.of("email", Tenant.EMAIL, "password", Tenant.PASSWORD));
    if (answer.statusCode() != 200) {
      throw new IllegalStateException("log-in: " + answer.statusCode() + " " + answer.body());
    }
    return new Login(
        tenant.url(),
        answer.headers().firstValue("Set-Cookie").orElseThrow().split(";", 2)[0],
        Tenant.parse(answer.body()).get("csrfToken").asString());
  }

  /** The same person, asking another backend. */
  public Login at(String otherUrl) {
    return new Login(otherUrl, cookie, csrf);
  }

  /** What is kept; fails unless the answer is 200. */
  public JsonNode attributes() {
    HttpResponse<String> answer = send("GET", "/session/attributes", null);
    if (answer.statusCode() != 200) {
      throw new IllegalStateException(answer.statusCode() + " " + answer.body());
    }
    return Tenant.parse(answer.body());
  }

  /** Keeps one value; any answer. */
  public HttpResponse<String> keep(String name, String value) {
    return send("PATCH", "/session/attributes", Tenant.json(Map.of(name, value)));
  }

  /** 200 while signed in, 401 afterwards. */
  public int status() {
    return send("GET", "/session", null).statusCode();
  }

  public void logOut() {
    send("POST", "/logout", "");
  }

  private HttpResponse<String> send(String method, String path, @Nullable String body) {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(URI.create(url + "/api/v1" + path))
            .header("Cookie", cookie)
            .header("X-CSRF-Token", csrf);
    if (body == null) {
      request.method(method, BodyPublishers.noBody());
    } else {
      request.method(method, BodyPublishers.ofString(body));
      request.header("Content-Type", "application/json");
    }
    return Backend.send(request);
  }
}
