# Homebrew formula: compiles both programs from source.
# In a tap it needs the address and the checksum of a release's source in place of "head".
class Hearth < Formula
  desc "End-to-end encrypted chat for the local network"
  homepage "https://github.com/OWNER/hearth"
  license "MIT"
  head "https://github.com/OWNER/hearth.git", branch: "main"

  depends_on "deno" => :build

  def install
    ENV["DENO_DIR"] = buildpath/".deno"
    system "deno", "task", "compile"
    %w[client server].each do |program|
      bin.install Dir["dist/*/#{program}"].first => "hearth-#{program}"
      man1.install "man/#{program}.1" => "hearth-#{program}.1"
    end
  end

  service do
    run opt_bin/"hearth-server"
    keep_alive successful_exit: false
    log_path var/"log/hearth-server.log"
    error_log_path var/"log/hearth-server.log"
  end

  test do
    assert_match "server ", shell_output("#{bin}/hearth-server --version")
    assert_match "--fingerprint", shell_output("#{bin}/hearth-client --help")
  end
end
