package io.conexor.itests.lab;

import io.conexor.api.access.Principal;
import io.conexor.api.hub.Audience;
import io.conexor.api.hub.Hub;
import io.conexor.api.hub.HubCall;
import io.conexor.api.hub.HubClients;
import io.conexor.api.hub.HubConnection;
import java.util.Optional;
import java.util.Set;

/** A hub of a bundle of its own: whatever one client says, all clients of all backends hear. */
public final class ChatHub implements Hub {

  // Written by whoever attaches it, read by the threads of connections.
  private volatile HubClients clients;

  @Override
  public String name() {
    return "chat";
  }

  @Override
  public Optional<String> refusal(Principal principal) {
    return Optional.empty();
  }

  @Override
  public void attached(HubClients way) {
    clients = way;
  }

  @Override
  public void opened(HubConnection connection) {
    // Whoever is there hears.
  }

  @Override
  public void invoked(HubCall call) {
    clients
        .send(new Audience.Everyone(Set.of()), "said", call.request().arguments())
        .whenComplete(
            (done, failure) -> {
              if (failure == null) {
                call.complete(null);
              } else {
                call.fail("not sent: " + failure);
              }
            });
  }

  @Override
  public void closed(HubConnection connection, String reason) {
    // Nobody is told.
  }
}
