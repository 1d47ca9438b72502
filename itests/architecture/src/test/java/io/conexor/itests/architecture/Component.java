package io.conexor.itests.architecture;

import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import javax.xml.parsers.DocumentBuilderFactory;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;

/** What the XML of one DS component says, as bnd wrote it into the bundle. */
record Component(
    String bundle,
    String name,
    String type,
    List<String> provides,
    List<Reference> references,
    List<String> pids,
    boolean immediate) {

  record Reference(String service, boolean mandatory, boolean dynamic, String target) {}

  static Component read(String bundle, InputStream xml) throws Exception {
    Element root =
        DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(xml).getDocumentElement();
    List<String> provides = new ArrayList<>();
    for (Element element : elements(root, "provide")) {
      provides.add(element.getAttribute("interface"));
    }
    List<Reference> references = new ArrayList<>();
    for (Element element : elements(root, "reference")) {
      String cardinality = element.getAttribute("cardinality");
      references.add(
          new Reference(
              element.getAttribute("interface"),
              cardinality.isEmpty() || cardinality.startsWith("1"),
              element.getAttribute("policy").equals("dynamic"),
              element.getAttribute("target")));
    }
    String pids = root.getAttribute("configuration-pid");
    return new Component(
        bundle,
        root.getAttribute("name"),
        elements(root, "implementation").get(0).getAttribute("class"),
        List.copyOf(provides),
        List.copyOf(references),
        pids.isEmpty() ? List.of() : List.of(pids.split("\\s+")),
        root.getAttribute("immediate").equals("true"));
  }

  /** The name of a service without its package, which is how people speak of it. */
  static String simple(String name) {
    return name.substring(name.lastIndexOf('.') + 1);
  }

  static List<Element> elements(Element root, String name) {
    NodeList nodes = root.getElementsByTagName(name);
    List<Element> elements = new ArrayList<>();
    for (int i = 0; i < nodes.getLength(); i++) {
      elements.add((Element) nodes.item(i));
    }
    return elements;
  }
}
