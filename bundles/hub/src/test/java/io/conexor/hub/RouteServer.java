package io.conexor.hub;

import io.conexor.api.http.WebSocketRoute;
import java.lang.reflect.Constructor;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.Map;

/**
 * The product's own HTTP server with one WebSocket route, put together as Declarative Services does
 * it.
 */
final class RouteServer implements AutoCloseable {
  private final Object server;

  RouteServer(WebSocketRoute route, int port) throws Exception {
    Map<String, Object> values = Map.of("host", "127.0.0.1", "port", port);
    Class<?> type = Class.forName("io.conexor.http.JettyServer");
    Constructor<?> constructor = type.getConstructors()[0];
    Class<?> node = constructor.getParameterTypes()[0];
    Class<?> config = constructor.getParameterTypes()[1];
    Object configured =
        Proxy.newProxyInstance(
            config.getClassLoader(),
            new Class<?>[] {config},
            (proxy, method, args) ->
                values.getOrDefault(method.getName(), method.getDefaultValue()));
    server = constructor.newInstance(node.getConstructor().newInstance(), configured);
    call("addSockets", new Class<?>[] {WebSocketRoute.class, Map.class}, route, Map.of());
  }

  int port() throws Exception {
    return (Integer) call("port", new Class<?>[0]);
  }

  @Override
  public void close() throws Exception {
    call("close", new Class<?>[0]);
  }

  private Object call(String name, Class<?>[] types, Object... arguments) throws Exception {
    Method method = server.getClass().getDeclaredMethod(name, types);
    method.setAccessible(true);
    return method.invoke(server, arguments);
  }
}
