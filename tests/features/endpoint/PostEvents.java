import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;

/** Posts the events of the standard input, a line each, with the JDK's client as it is without settings. */
public final class PostEvents {
  public static void main(String[] arguments) throws Exception {
    var client = HttpClient.newHttpClient();
    var events = new String(System.in.readAllBytes(), StandardCharsets.UTF_8).lines().toList();

    for (var event : events) {
      var request = HttpRequest.newBuilder(URI.create(arguments[0]))
          .header("Content-Type", "application/json")
          .header("X-API-Key", arguments[1])
          .POST(HttpRequest.BodyPublishers.ofString(event))
          .build();
      var response = client.send(request, HttpResponse.BodyHandlers.ofString());
      System.out.println(response.version() + " " + response.statusCode() + " " + response.body());
    }
  }
}
