package io.conexor.http;

import io.conexor.api.http.HttpRoute;
import io.conexor.api.http.WebSocketRoute;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/** The routes as of one moment; a change makes a new table. */
final class Routes {

  /** A route and where it stands among those of the same path. */
  record Bound(HttpRoute route, String path, long ranking, long id) {}

  /** A WebSocket route with the sockets that are open on it. */
  record BoundSocket(WebSocketRoute route, String path, long ranking, long id, Set<Socket> open) {
    BoundSocket(WebSocketRoute route, String path, long ranking, long id) {
      this(route, path, ranking, id, ConcurrentHashMap.newKeySet());
    }
  }

  /** Where a route was until a moment ago. */
  record Vacant(String path, long until) {}

  static final Routes NONE = new Routes(List.of(), List.of(), List.of());

  private final List<Bound> http;
  private final List<BoundSocket> sockets;
  private final List<Vacant> vacant;

  private Routes(List<Bound> http, List<BoundSocket> sockets, List<Vacant> vacant) {
    this.http = http;
    this.sockets = sockets;
    this.vacant = vacant;
  }

  Routes with(Bound added) {
    List<Bound> all = new ArrayList<>(http);
    all.add(added);
    all.sort(
        Comparator.comparingInt((Bound b) -> -b.path().length())
            .thenComparingLong(b -> -b.ranking())
            .thenComparingLong(Bound::id));
    return new Routes(all, sockets, without(added.path()));
  }

  Routes without(HttpRoute removed, long vacantUntil) {
    List<Bound> rest = new ArrayList<>(http);
    List<Vacant> gaps = new ArrayList<>(vacant);
    for (Bound bound : http) {
      if (bound.route() == removed) {
        rest.remove(bound);
        gaps.add(new Vacant(bound.path(), vacantUntil));
      }
    }
    return new Routes(rest, sockets, gaps);
  }

  Routes with(BoundSocket added) {
    List<BoundSocket> all = new ArrayList<>(sockets);
    all.add(added);
    all.sort(
        Comparator.comparingLong((BoundSocket b) -> -b.ranking())
            .thenComparingLong(BoundSocket::id));
    return new Routes(http, all, without(added.path()));
  }

  Routes without(WebSocketRoute removed, long vacantUntil) {
    List<BoundSocket> rest = new ArrayList<>(sockets);
    List<Vacant> gaps = new ArrayList<>(vacant);
    for (BoundSocket bound : sockets) {
      if (bound.route() == removed) {
        rest.remove(bound);
        gaps.add(new Vacant(bound.path(), vacantUntil));
      }
    }
    return new Routes(http, rest, gaps);
  }

  private List<Vacant> without(String path) {
    List<Vacant> rest = new ArrayList<>(vacant);
    long now = System.nanoTime();
    rest.removeIf(gap -> gap.path().equals(path) || now - gap.until() >= 0);
    return rest;
  }

  @Nullable Bound http(String path) {
    for (Bound bound : http) {
      if (covers(bound.path(), path)) {
        return bound;
      }
    }
    return null;
  }

  @Nullable BoundSocket socket(String path) {
    for (BoundSocket bound : sockets) {
      if (bound.path().equals(path)) {
        return bound;
      }
    }
    String parent = path.substring(0, path.lastIndexOf('/') + 1) + "*";
    for (BoundSocket bound : sockets) {
      if (bound.path().equals(parent)) {
        return bound;
      }
    }
    return null;
  }

  @Nullable BoundSocket socket(WebSocketRoute route) {
    for (BoundSocket bound : sockets) {
      if (bound.route() == route) {
        return bound;
      }
    }
    return null;
  }

  List<BoundSocket> sockets() {
    return sockets;
  }

  /** Whether a longer route than the one found stood here until a moment ago. */
  boolean isVacant(String path, int longerThan) {
    if (vacant.isEmpty()) {
      return false;
    }
    long now = System.nanoTime();
    for (Vacant gap : vacant) {
      if (gap.path().length() > longerThan && covers(gap.path(), path) && now - gap.until() < 0) {
        return true;
      }
    }
    return false;
  }

  private static boolean covers(String prefix, String path) {
    return path.startsWith(prefix)
        && (path.length() == prefix.length()
            || prefix.length() == 1
            || path.charAt(prefix.length()) == '/');
  }
}
