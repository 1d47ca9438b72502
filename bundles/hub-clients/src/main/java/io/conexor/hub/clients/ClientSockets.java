package io.conexor.hub.clients;

import io.conexor.api.http.HttpExchange;
import io.conexor.api.http.WebSocketRoute;
import java.util.concurrent.CompletionStage;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Reference;

/** The WebSockets of all contributed hubs. Apart from {@link ClientHub} because its path is. */
@Component(service = WebSocketRoute.class)
public final class ClientSockets implements WebSocketRoute {
  private final ClientHub home;

  @Activate
  public ClientSockets(@Reference(name = "home") ClientHub home) {
    this.home = home;
  }

  @Override
  public String path() {
    return home.path() + "/*";
  }

  @Override
  public int maxMessageBytes() {
    return home.settings().maxMessageBytes();
  }

  @Override
  public CompletionStage<Admission> admit(HttpExchange handshake) {
    return home.admit(handshake);
  }
}
