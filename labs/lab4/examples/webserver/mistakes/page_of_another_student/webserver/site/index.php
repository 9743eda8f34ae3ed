<?php $n = (int) ($_GET["n"] ?? 1); ?>
<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <title>purple-penguin</title>
</head>
<body>
<main>
  <h1>Welcome to purple-penguin</h1>
  <p>This page belongs to s7654321.</p>
  <pre>
result: <?= $n * 2 ?>

sapi: <?= PHP_SAPI ?>

host: <?= gethostname() ?>

  </pre>
</main>
</body>
</html>
