package io.conexor.runtime;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import javax.xml.stream.XMLInputFactory;
import javax.xml.stream.XMLStreamConstants;
import javax.xml.stream.XMLStreamException;
import javax.xml.stream.XMLStreamReader;
import org.jspecify.annotations.Nullable;

/** Every key that can be configured, read from the metatype XML inside the bundles. */
public final class ConfigurationKeys {

  private static final String PREFIX = "io.conexor.";
  private static final String FOLDER = "OSGI-INF/metatype/";
  private static final String OWN = FOLDER + "io.conexor.runtime.xml";

  private final Map<String, ConfigurationKey> byName = new TreeMap<>();
  private final Set<String> pids = new HashSet<>();

  /** The launcher's own keys and those of every bundle in the directory that is ours. */
  public static ConfigurationKeys of(Collection<Path> jars) {
    ConfigurationKeys keys = new ConfigurationKeys();
    try (InputStream own = ConfigurationKeys.class.getClassLoader().getResourceAsStream(OWN)) {
      if (own != null) {
        keys.read(own);
      }
      for (Path jar : jars) {
        if (jar.getFileName().toString().startsWith(PREFIX)) {
          keys.readJar(jar);
        }
      }
    } catch (IOException | XMLStreamException e) {
      throw new LaunchException(
          "cannot read the configuration keys of the bundles: " + e.getMessage(), e);
    }
    return keys;
  }

  private void readJar(Path jar) throws IOException, XMLStreamException {
    try (JarFile file = new JarFile(jar.toFile())) {
      for (JarEntry entry : Collections.list(file.entries())) {
        if (entry.getName().startsWith(FOLDER) && entry.getName().endsWith(".xml")) {
          try (InputStream in = file.getInputStream(entry)) {
            read(in);
          }
        }
      }
    }
  }

  void read(InputStream metatype) throws XMLStreamException {
    XMLInputFactory factory = XMLInputFactory.newDefaultFactory();
    factory.setProperty(XMLInputFactory.SUPPORT_DTD, false);
    XMLStreamReader xml = factory.createXMLStreamReader(metatype);
    Map<String, List<Attribute>> classes = new LinkedHashMap<>();
    Map<String, String> pidOfClass = new HashMap<>();
    Set<String> factories = new HashSet<>();
    List<Attribute> current = new ArrayList<>();
    String pid = "";
    while (xml.hasNext()) {
      if (xml.next() != XMLStreamConstants.START_ELEMENT) {
        continue;
      }
      switch (xml.getLocalName()) {
        case "OCD" -> {
          current = new ArrayList<>();
          classes.put(required(xml, "id"), current);
        }
        case "AD" -> current.add(Attribute.from(xml));
        case "Option" -> current.get(current.size() - 1).options.add(required(xml, "value"));
        case "Designate" -> {
          String factoryPid = xml.getAttributeValue(null, "factoryPid");
          pid = factoryPid == null ? required(xml, "pid") : factoryPid;
          if (factoryPid != null) {
            factories.add(pid);
          }
        }
        case "Object" -> pidOfClass.put(required(xml, "ocdref"), pid);
        default -> {
          // MetaData, Attribute and Icon say nothing about keys.
        }
      }
    }
    classes.forEach(
        (ocd, attributes) -> {
          String owner = pidOfClass.get(ocd);
          if (owner == null || !owner.startsWith(PREFIX)) {
            return;
          }
          pids.add(owner);
          for (Attribute a : attributes) {
            ConfigurationKey key = a.toKey(owner, factories.contains(owner));
            byName.put(key.name(), key);
          }
        });
  }

  private static String required(XMLStreamReader xml, String attribute) {
    String value = xml.getAttributeValue(null, attribute);
    if (value == null) {
      throw new IllegalArgumentException(xml.getLocalName() + " without " + attribute);
    }
    return value;
  }

  public Collection<ConfigurationKey> all() {
    return Collections.unmodifiableCollection(byName.values());
  }

  Optional<ConfigurationKey> find(String name) {
    return Optional.ofNullable(byName.get(name));
  }

  boolean isFactory(String pid) {
    return byName.values().stream().anyMatch(k -> k.factory() && k.pid().equals(pid));
  }

  Optional<ConfigurationKey> nearest(String name) {
    return Nearest.to(name, byName.keySet()).map(byName::get);
  }

  /**
   * Where a key with a target filter or a ranking belongs: DS understands both on every component,
   * so no bundle declares them.
   */
  Optional<String> pidOfStandardKey(String name) {
    if (!name.endsWith(".target") && !name.endsWith(".service.ranking")) {
      return Optional.empty();
    }
    return pids.stream()
        .filter(pid -> (PREFIX + name).startsWith(pid + "."))
        .max(java.util.Comparator.comparingInt(String::length));
  }

  private record Attribute(
      String id,
      String type,
      boolean list,
      @Nullable String min,
      @Nullable String max,
      @Nullable String defaultValue,
      List<String> options) {

    static Attribute from(XMLStreamReader xml) {
      String cardinality = xml.getAttributeValue(null, "cardinality");
      return new Attribute(
          required(xml, "id"),
          required(xml, "type"),
          cardinality != null && !cardinality.equals("0"),
          xml.getAttributeValue(null, "min"),
          xml.getAttributeValue(null, "max"),
          xml.getAttributeValue(null, "default"),
          new ArrayList<>());
    }

    ConfigurationKey toKey(String pid, boolean factory) {
      return new ConfigurationKey(
          pid.substring(PREFIX.length()) + "." + id,
          pid,
          id,
          ConfigurationKey.Type.of(type),
          factory,
          list,
          min,
          max,
          defaultValue,
          options);
    }
  }
}
