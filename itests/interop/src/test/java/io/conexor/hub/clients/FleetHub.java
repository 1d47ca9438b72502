package io.conexor.hub.clients;

import io.conexor.api.access.Principal;
import io.conexor.api.hub.Hub;
import io.conexor.api.hub.HubCall;
import io.conexor.api.hub.HubClients;
import io.conexor.api.hub.HubConnection;
import io.conexor.api.node.Node;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** An {@link EchoHub} for the product's own processes; what clients note is in their log. */
public final class FleetHub implements Hub {
  private static final Logger log = LoggerFactory.getLogger(FleetHub.class);

  private final EchoHub echo;

  public FleetHub(Node node) {
    this.echo = new EchoHub(node.id().value());
  }

  @Override
  public String name() {
    return echo.name();
  }

  @Override
  public Optional<String> refusal(Principal principal) {
    return echo.refusal(principal);
  }

  @Override
  public void attached(HubClients clients) {
    echo.attached(clients);
  }

  @Override
  public void opened(HubConnection connection) {
    log.info("opened {}", connection.id());
    echo.opened(connection);
  }

  @Override
  public void invoked(HubCall call) {
    if (call.request().target().equals("Note")) {
      log.info("noted {}", call.request().arguments().get(0));
    }
    echo.invoked(call);
  }

  @Override
  public void closed(HubConnection connection, String reason) {
    log.info("closed {}: {}", connection.id(), reason);
    echo.closed(connection, reason);
  }
}
