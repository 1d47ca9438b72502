package io.conexor.itests.architecture.bad;

import io.conexor.api.node.Node;
import org.osgi.service.component.annotations.Activate;
import org.osgi.service.component.annotations.Component;
import org.osgi.service.component.annotations.Modified;

/** Changes while it runs, and its configuration is a secret. */
@Component
public class BadComponent {

  @interface Config {
    int size() default 1;
  }

  Node node = null;
  private int size;

  @Activate
  public BadComponent(Config config) {
    modified(config);
  }

  @Modified
  final void modified(Config config) {
    size = config.size();
  }

  int size() {
    return size;
  }
}
